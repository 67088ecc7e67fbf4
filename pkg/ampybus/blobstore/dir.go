package blobstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

const (
	fileScheme = "file"
	// dirMode and fileMode: payloads are nobody else's business.
	dirMode  = 0o700
	fileMode = 0o600
)

// Dir keeps objects as files below one directory. Its references, such as
// file:///sha256/ab/abcd…, are relative to that directory: neither they nor
// symbolic links lead out of it. It may be used from several goroutines and
// processes at once.
type Dir struct{ root *os.Root }

// OpenDir makes the directory if it is not there. Close releases it.
func OpenDir(dir string) (*Dir, error) {
	if dir == "" {
		return nil, errors.New("open blob directory: no directory given")
	}
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return nil, fmt.Errorf("open blob directory: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open blob directory: %w", err)
	}
	return &Dir{root: root}, nil
}

// Rules allows the file scheme, without a host.
func (d *Dir) Rules() ampybus.BlobRules {
	return ampybus.BlobRules{Schemes: []string{fileScheme}, Hosts: []string{""}}
}

// Put writes body and syncs it before it has its name, so that a reference
// never leads to half an object, also after a power cut.
func (d *Dir) Put(ctx context.Context, hash string, body []byte) (string, error) {
	name, err := objectName(hash)
	if err != nil {
		return "", err
	}
	if err := ctx.Err(); err != nil {
		return "", fmt.Errorf("put blob: %w", err)
	}
	ref := fileScheme + ":///" + name
	if info, err := d.root.Lstat(name); err == nil && info.Mode().IsRegular() && info.Size() == int64(len(body)) {
		return ref, nil
	}
	if err := d.root.MkdirAll(path.Dir(name), dirMode); err != nil {
		return "", fmt.Errorf("put blob: %w", err)
	}
	if err := d.write(name, body); err != nil {
		return "", fmt.Errorf("put blob: %w", err)
	}
	return ref, nil
}

// write goes through a file of another name, one per writer.
func (d *Dir) write(name string, body []byte) error {
	temporary := name + "." + ampybus.NewID() + ".part"
	f, err := d.root.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return err
	}
	_, err = f.Write(body)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = d.root.Rename(temporary, name)
	}
	if err != nil {
		return errors.Join(err, d.root.Remove(temporary))
	}
	return d.syncDir(path.Dir(name))
}

// syncDir makes names in the directory, and the directory's own, durable.
func (d *Dir) syncDir(dir string) error {
	for ; ; dir = path.Dir(dir) {
		f, err := d.root.Open(dir)
		if err != nil {
			return err
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil || dir == "." {
			return err
		}
	}
}

// Get opens an object that Put made. Other names below the directory are not
// served.
func (d *Dir) Get(ctx context.Context, ref string) (io.ReadCloser, error) {
	if err := d.Rules().Check(ref); err != nil {
		return nil, err
	}
	parsed, err := ampybus.ParseBlobRef(ref)
	if err != nil {
		return nil, err
	}
	name := strings.TrimPrefix(parsed.Path, "/")
	if !isObjectName(name) {
		return nil, &ampybus.BlobError{Code: ampybus.CodeBlobRef, Problem: "no name of an object in a blob directory"}
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("get blob: %w", err)
	}
	info, err := d.root.Lstat(name)
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	if err != nil {
		return nil, fmt.Errorf("get blob: %w", err)
	}
	f, err := d.root.Open(name)
	if err != nil {
		return nil, fmt.Errorf("get blob: %w", err)
	}
	return f, nil
}

// Close releases the directory. It may be called twice.
func (d *Dir) Close() error { return d.root.Close() }
