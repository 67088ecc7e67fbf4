package inbox

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/inbox/internal/durable"
)

// Sentinels of the files.
var (
	// ErrCorrupt: a file is neither the state before a crash nor the one after.
	// It is never taken for an empty one.
	ErrCorrupt = durable.ErrCorrupt
	// ErrBroken: an earlier failure left unknown what the disk holds. Open the
	// file again.
	ErrBroken = durable.ErrBroken
)

// FileConfig describes a File. The zero value works.
type FileConfig struct {
	// Limit is how many identities are kept, the oldest going first; a message
	// with a dedupe_key takes two. It has to exceed what the broker may deliver
	// again: the span of the consumer, and the window of a replay. Zero:
	// ampybus.DefaultDedupeWindow, about 120 MB of memory when full.
	Limit int
}

// File remembers in one file what a handler has applied that has no database.
// It implements ampybus.DedupeStore: pass it as Consumer.Dedupe.
//
// Its promise is weaker than that of an Inbox. Effect and mark are two steps: a
// crash between them repeats the effect, so delivery is at least once. It
// fences nobody, and belongs to one process on one machine: a member that takes
// over elsewhere repeats what was applied and not yet committed. What helps is
// Interrupted, and an effect that its receiver dedupes.
//
// Started, done and dead marks are synced to disk before its methods return;
// handlers that wait at the same time share a sync. Its methods may be called
// from several goroutines.
type File struct {
	log    *durable.Log
	unlock func() error

	mu        sync.Mutex
	known     known
	rewriting bool
}

// OpenFile opens the file at path, or makes an empty one where none is. A file
// whose last append was torn by a crash is as it was before that append; any
// other damage is an error that matches ErrCorrupt. One process at a time can
// open a file.
func OpenFile(path string, c FileConfig) (*File, error) {
	unlock, err := durable.Lock(path)
	if err != nil {
		return nil, err
	}
	f, err := openFile(durable.OS{}, path, c)
	if err != nil {
		return nil, errors.Join(err, unlock())
	}
	f.unlock = unlock
	return f, nil
}

func openFile(fsys durable.FS, path string, c FileConfig) (*File, error) {
	if c.Limit <= 0 {
		c.Limit = ampybus.DefaultDedupeWindow
	}
	f := &File{known: newKnown(c.Limit), unlock: func() error { return nil }}
	log, err := durable.Open(fsys, path, f.apply)
	if err != nil {
		return nil, err
	}
	f.log = log
	return f, nil
}

// apply takes in marks that are on disk.
func (f *File) apply(body []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.known.apply(body)
}

// Seen looks m up, and notes that it is about to run where it is not known. A
// message that is known to be dead counts as applied, unless m is a redriven
// copy of it.
func (f *File) Seen(_ context.Context, m *ampybus.Message) (ampybus.Seen, error) {
	p := printOf(m)
	f.mu.Lock()
	seen, begun := f.known.look(p)
	f.mu.Unlock()
	if seen != ampybus.SeenNot || begun {
		return seen, nil
	}
	if err := f.append(mark{kind: markStarted, id: p.id}); err != nil {
		return ampybus.SeenNot, fmt.Errorf("note the start of %s: %w", m.Headers.MessageID, err)
	}
	return ampybus.SeenNot, nil
}

// Mark notes that m was applied.
func (f *File) Mark(_ context.Context, m *ampybus.Message) error {
	p := printOf(m)
	marks := []mark{{kind: markDone, id: p.id, payload: p.payload}}
	if p.hasKey {
		marks = append(marks, mark{kind: markDone, id: p.key, payload: p.payload})
	}
	if err := f.append(marks...); err != nil {
		return fmt.Errorf("mark %s as applied: %w", m.Headers.MessageID, err)
	}
	return nil
}

// MarkDead notes that the dead letter of m is stored: should the process die
// before that is committed, m comes again and does not run behind its
// successors.
func (f *File) MarkDead(_ context.Context, m *ampybus.Message) error {
	p := printOf(m)
	err := f.append(mark{kind: markDead, id: p.id, payload: p.payload, retries: p.retries})
	if err != nil {
		return fmt.Errorf("mark %s as dead: %w", m.Headers.MessageID, err)
	}
	return nil
}

// Interrupted reports, to the handler of m, that an earlier attempt on m began
// and is not known to have succeeded, in this process or one before: its effect
// may have happened in part or whole. A handler that can ask the receiver (an
// order by its client_order_id) does so then.
func (f *File) Interrupted(m *ampybus.Message) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.known.attempts(printOf(m).id) > 1
}

func (f *File) append(marks ...mark) error {
	var body []byte
	for _, m := range marks {
		body = m.append(body)
	}
	if err := f.log.Append(body); err != nil {
		return err
	}
	return f.shorten()
}

// A log is rewritten when it is several times longer than what it says.
const (
	rewriteFactor = 4
	rewriteSlack  = 64 << 10
)

// shorten rewrites a log that has grown long. Its error takes no mark back:
// the bus asks again, and learns that the message is known.
func (f *File) shorten() error {
	size := f.log.Size()
	f.mu.Lock()
	long := size > rewriteSlack+rewriteFactor*markSize*int64(f.known.len())
	if !long || f.rewriting {
		f.mu.Unlock()
		return nil
	}
	f.rewriting = true
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		f.rewriting = false
		f.mu.Unlock()
	}()
	return f.log.Rewrite(func() [][]byte {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.known.bodies()
	})
}

// Close closes the file. It may be called twice; calls after it fail.
func (f *File) Close() error {
	err := f.log.Close()
	f.mu.Lock()
	defer f.mu.Unlock()
	err = errors.Join(err, f.unlock())
	f.unlock = func() error { return nil }
	return err
}
