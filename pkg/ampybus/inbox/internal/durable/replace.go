package durable

import (
	"fmt"
	"path/filepath"

	"github.com/AmpyFin/ampy-bus/internal/mutant"
)

// fresh is where the next state of a file is written before it is named.
func fresh(path string) string { return path + ".new" }

// Replace makes data the whole content of path. After an error the file holds
// the old content or the new.
func Replace(fsys FS, path string, data []byte) error {
	f, err := write(fsys, path, data)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("close %s: %w", fresh(path), err)
	}
	return adopt(fsys, path)
}

// write makes the next state of path, on disk but not yet named so.
func write(fsys FS, path string, data []byte) (File, error) {
	f, err := fsys.Create(fresh(path))
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", fresh(path), err)
	}
	_, err = f.Write(data)
	if err == nil && !mutant.On("inbox-checkpoint-without-fsync") {
		err = f.Sync()
	}
	if err != nil {
		_ = f.Close()
		_ = fsys.Remove(fresh(path))
		return nil, fmt.Errorf("write %s: %w", fresh(path), err)
	}
	return f, nil
}

// adopt gives the next state the name of path.
func adopt(fsys FS, path string) error {
	if err := fsys.Rename(fresh(path), path); err != nil {
		_ = fsys.Remove(fresh(path))
		return fmt.Errorf("replace %s: %w", path, err)
	}
	if mutant.On("inbox-rename-without-fsync") {
		return nil
	}
	if err := fsys.SyncDir(filepath.Dir(path)); err != nil {
		return fmt.Errorf("sync directory of %s: %w", path, err)
	}
	return nil
}
