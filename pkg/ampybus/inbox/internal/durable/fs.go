package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// ErrCorrupt: the file is neither the state before a crash nor the one after.
var ErrCorrupt = errors.New("file is corrupt")

// FS is what this package asks of a file system, so that tests can crash it at
// each step.
type FS interface {
	// ReadFile returns an error that matches fs.ErrNotExist where no file is.
	ReadFile(path string) ([]byte, error)
	// Create makes an empty file, in the place of one that may be there.
	Create(path string) (File, error)
	// Append opens a file to write at its end.
	Append(path string) (File, error)
	Rename(from, to string) error
	Remove(path string) error
	// SyncDir makes the names in a directory durable.
	SyncDir(dir string) error
}

// File is open for writing at its end.
type File interface {
	Write(p []byte) (int, error)
	Truncate(size int64) error
	Sync() error
	Close() error
}

// OS is the file system of the machine.
type OS struct{}

// Files hold positions and identities, nothing for other users of the machine.
const private fs.FileMode = 0o600

// ReadFile reads a whole file.
func (OS) ReadFile(path string) ([]byte, error) { return os.ReadFile(path) }

// Create makes an empty file.
func (OS) Create(path string) (File, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, private)
}

// Append opens a file that exists.
func (OS) Append(path string) (File, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_APPEND, private)
}

// Rename replaces to by from, as one step.
func (OS) Rename(from, to string) error { return os.Rename(from, to) }

// Remove removes a file.
func (OS) Remove(path string) error { return os.Remove(path) }

// SyncDir syncs a directory. Windows can not, and does not need to.
func (OS) SyncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(filepath.Clean(dir))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
