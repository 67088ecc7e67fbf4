// Package crashfs is a file system in memory, for tests, that crashes or fails
// at a chosen step and then shows every state that a disk may be left in. It
// promises what POSIX does and nothing more: of what was not synced, a file
// keeps any part up to any byte, perhaps as zeros, and a directory any number
// of its latest changes.
package crashfs

import (
	"errors"
	"io/fs"
	"maps"
	"slices"
	"sync"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/inbox/internal/durable"
)

// ErrCrashed is what every step returns from the crash on.
var ErrCrashed = errors.New("crashed")

// FS implements durable.FS. It is safe for concurrent use.
type FS struct {
	mu      sync.Mutex
	names   map[string]*inode // as programs see them
	onDisk  map[string]*inode
	changes []change // of names, not on disk yet
	steps   int
	crashAt int
	failAt  int
	failure error
}

// change gives an inode a name, or with none takes a name away.
type change struct {
	from, to string
	node     *inode
}

// inode is a file's content.
type inode struct {
	data    []byte // as programs see it
	onDisk  []byte
	pending []edit
}

// edit appends data, or with none cuts to size.
type edit struct {
	data []byte
	size int64
}

// New returns an empty file system.
func New() *FS { return With(nil) }

// With returns a file system that holds files, safely on disk.
func With(files map[string][]byte) *FS {
	f := &FS{names: make(map[string]*inode), onDisk: make(map[string]*inode)}
	for path, data := range files {
		f.names[path] = &inode{data: slices.Clone(data), onDisk: slices.Clone(data)}
	}
	maps.Copy(f.onDisk, f.names)
	return f
}

// CrashAt makes step n (from 1) the last one, cut off in the middle.
func (f *FS) CrashAt(n int) { f.crashAt = n }

// FailAt makes step n fail with err, half done; the next steps work.
func (f *FS) FailAt(n int, err error) { f.failAt, f.failure = n, err }

// Steps is the number of steps taken: each call but ReadFile and Close is one.
func (f *FS) Steps() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.steps
}

// begin counts a step. counted: the step is one of those that happen, whole or in part.
func (f *FS) begin() (counted bool, err error) {
	if f.crashed() {
		return false, ErrCrashed
	}
	f.steps++
	switch f.steps {
	case f.crashAt:
		return true, ErrCrashed
	case f.failAt:
		return true, f.failure
	}
	return true, nil
}

func (f *FS) crashed() bool { return f.crashAt > 0 && f.steps >= f.crashAt }

// ReadFile reads a whole file.
func (f *FS) ReadFile(path string) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.crashed() {
		return nil, ErrCrashed
	}
	n := f.names[path]
	if n == nil {
		return nil, fs.ErrNotExist
	}
	return slices.Clone(n.data), nil
}

// Create makes an empty file.
func (f *FS) Create(path string) (durable.File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.change(change{to: path, node: new(inode)}); err != nil {
		return nil, err
	}
	return &file{f, f.names[path]}, nil
}

// Append opens a file that exists.
func (f *FS) Append(path string) (durable.File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, err := f.begin(); err != nil {
		return nil, err
	}
	if f.names[path] == nil {
		return nil, fs.ErrNotExist
	}
	return &file{f, f.names[path]}, nil
}

// Rename replaces to by from.
func (f *FS) Rename(from, to string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.change(change{from: from, to: to, node: f.names[from]})
}

// Remove removes a file.
func (f *FS) Remove(path string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.names[path] == nil {
		_, err := f.begin()
		return errors.Join(err, fs.ErrNotExist)
	}
	return f.change(change{from: path})
}

// change is a step that changes names: not at all when it fails, and perhaps
// when it crashes.
func (f *FS) change(c change) error {
	counted, err := f.begin()
	if !counted || (err != nil && !f.crashed()) {
		return err
	}
	c.apply(f.names)
	f.changes = append(f.changes, c)
	return err
}

func (c change) apply(names map[string]*inode) {
	delete(names, c.from)
	if c.to != "" {
		names[c.to] = c.node
	}
}

// SyncDir makes names durable: there is one directory.
func (f *FS) SyncDir(string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, err := f.begin(); err != nil {
		return err
	}
	f.onDisk, f.changes = maps.Clone(f.names), nil
	return nil
}

type file struct {
	fs   *FS
	node *inode
}

func (h *file) Write(p []byte) (int, error) {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	counted, err := h.fs.begin()
	if !counted {
		return 0, err
	}
	if err != nil && !h.fs.crashed() {
		p = p[:len(p)/2]
	}
	h.node.edit(edit{data: slices.Clone(p)})
	return len(p), err
}

func (h *file) Truncate(size int64) error {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	counted, err := h.fs.begin()
	if !counted || (err != nil && !h.fs.crashed()) {
		return err
	}
	h.node.edit(edit{size: size})
	return err
}

func (h *file) Sync() error {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if _, err := h.fs.begin(); err != nil {
		return err
	}
	h.node.onDisk, h.node.pending = slices.Clone(h.node.data), nil
	return nil
}

func (*file) Close() error { return nil }

func (n *inode) edit(e edit) {
	n.data = e.apply(n.data)
	n.pending = append(n.pending, e)
}

func (e edit) apply(data []byte) []byte {
	if e.data == nil {
		return slices.Clone(data[:min(e.size, int64(len(data)))])
	}
	return append(slices.Clone(data), e.data...)
}
