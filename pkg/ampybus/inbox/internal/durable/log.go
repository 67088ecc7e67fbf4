package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"

	"github.com/AmpyFin/ampy-bus/internal/mutant"
)

// Log is a file that frames are appended to. Appends of several goroutines that
// wait for the disk at the same time share one write and one sync.
type Log struct {
	fsys  FS
	path  string
	apply func(body []byte) error

	mu      sync.Mutex // guards gather
	gather  *batch     // what the next write takes
	writing sync.Mutex // guards the rest; held while the disk works
	file    File
	size    int64
	last    uint64
	broken  error // why nothing can be appended any more
}

// batch is what one write appends.
type batch struct {
	body []byte
	done bool
	err  error
}

// ErrBroken: an earlier failure left unknown what the disk holds. Opening the
// log again tells.
var ErrBroken = errors.New("log is broken by an earlier failure")

// Open opens the log at path, or makes an empty one where no file is. It hands
// every body to apply, and so does each Append once its body is on disk: apply
// sees the same sequence now and after a restart, though bodies that were
// appended together come as one. It is never called twice at once. An error of
// apply while opening is Open's. What a crash has torn is cut off.
func Open(fsys FS, path string, apply func(body []byte) error) (*Log, error) {
	l := &Log{fsys: fsys, path: path, apply: apply, gather: new(batch)}
	_ = fsys.Remove(fresh(path)) // a state that never got its name
	data, err := fsys.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		data = encodeBase(nil)
		err = Replace(fsys, path, data)
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	sound, last, err := scan(data, apply)
	if err != nil && mutant.On("inbox-start-from-zero") {
		sound, last, err = 0, 0, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	l.size, l.last = int64(sound), last
	if err := l.reopen(len(data) > sound); err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return l, nil
}

// reopen opens the file for appending. It makes durable what it holds, which
// an earlier process may not have done.
func (l *Log) reopen(isTorn bool) (err error) {
	if l.file, err = l.fsys.Append(l.path); err != nil {
		return err
	}
	if isTorn {
		err = l.file.Truncate(l.size)
	}
	if err == nil {
		err = l.file.Sync()
	}
	if err == nil {
		err = l.fsys.SyncDir(filepath.Dir(l.path))
	}
	if err != nil {
		_ = l.file.Close()
	}
	return err
}

// Append returns when body is on disk and applied. After an error it may be on
// disk or not, unless the log goes on: then it is not.
func (l *Log) Append(body []byte) error {
	l.mu.Lock()
	b := l.gather
	b.body = append(b.body, body...)
	l.mu.Unlock()

	l.writing.Lock()
	defer l.writing.Unlock()
	if !b.done { // nobody who waited before has written it
		l.mu.Lock()
		l.gather = new(batch)
		l.mu.Unlock()
		b.err = l.write(b.body)
		b.done = true
	}
	return b.err
}

func (l *Log) write(body []byte) error {
	if l.broken != nil {
		return l.broken
	}
	frame := appendFrame(nil, l.last+1, body)
	if _, err := l.file.Write(frame); err != nil {
		// A full disk: without its torn frame the log can go on once there is room.
		if cut := l.file.Truncate(l.size); cut != nil {
			return l.fail(errors.Join(err, cut))
		}
		return fmt.Errorf("append to %s: %w", l.path, err)
	}
	if err := l.sync(); err != nil {
		return l.fail(err) // the kernel may have dropped what it could not write
	}
	l.size += int64(len(frame))
	l.last++
	if err := l.apply(body); err != nil {
		return l.fail(err)
	}
	return nil
}

func (l *Log) sync() error {
	if mutant.On("inbox-append-without-fsync") {
		return nil
	}
	return l.file.Sync()
}

func (l *Log) fail(err error) error {
	l.broken = fmt.Errorf("append to %s: %w: %w", l.path, ErrBroken, err)
	return l.broken
}

// Rewrite replaces all bodies by those that state returns, which have to be
// equivalent to them. No Append is under way meanwhile. An error before the
// new file has its name leaves the log as it is.
func (l *Log) Rewrite(state func() [][]byte) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	if l.broken != nil {
		return l.broken
	}
	bodies := state()
	data := encodeBase(bodies)
	f, err := write(l.fsys, l.path, data)
	if err != nil {
		return fmt.Errorf("rewrite %s: %w", l.path, err)
	}
	if err := adopt(l.fsys, l.path); err != nil {
		_ = f.Close()
		return l.fail(err) // which of the two files the name stands for is unknown
	}
	_ = l.file.Close() // of a file without a name
	l.file, l.size, l.last = f, int64(len(data)), uint64(len(bodies))+1
	return nil
}

// Size is the length of the file.
func (l *Log) Size() int64 {
	l.writing.Lock()
	defer l.writing.Unlock()
	return l.size
}

// Close closes the file. Later calls of Append return an error.
func (l *Log) Close() error {
	l.writing.Lock()
	defer l.writing.Unlock()
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file, l.broken = nil, fmt.Errorf("append to %s: %w", l.path, fs.ErrClosed)
	return err
}
