package ampybus

import (
	"context"
	"hash/maphash"
	"sync"

	"github.com/AmpyFin/ampy-bus/internal/recent"
)

// Seen is what a DedupeStore knows of a message.
type Seen int

// What is known.
const (
	SeenNot         Seen = iota // not applied, as far as known
	SeenSame                    // applied: the same identity and payload
	SeenIDConflict              // the message_id was applied with another payload
	SeenKeyConflict             // the dedupe_key was applied with another payload
)

// DedupeStore remembers which messages a group has applied, by message_id and,
// where there is one, by topic and dedupe_key (specification §8). It must
// never say SeenSame of a message that it was not told of. It is used by
// several goroutines at once.
type DedupeStore interface {
	// Seen is asked before the handler runs.
	Seen(ctx context.Context, m *Message) (Seen, error)
	// Mark is told after the handler's effect: marking earlier would lose a
	// message whose handler fails.
	Mark(ctx context.Context, m *Message) error
}

// DeadMarker is a DedupeStore that is told of dead letters too, so that it can
// tell Seen, or its own handler, that a message is not to run again.
type DeadMarker interface {
	// MarkDead is told once the dead letter of m is stored, and before the next
	// message of its key runs. While it fails, the key waits.
	MarkDead(ctx context.Context, m *Message) error
}

// NoDedupe knows nothing: every delivery runs.
type NoDedupe struct{}

// Seen is always SeenNot.
func (NoDedupe) Seen(context.Context, *Message) (Seen, error) { return SeenNot, nil }

// Mark does nothing.
func (NoDedupe) Mark(context.Context, *Message) error { return nil }

// DefaultDedupeWindow is how many identities NewMemoryDedupe(0) keeps: exact,
// 128 bits each, about 42 MB when full.
const DefaultDedupeWindow = 1_000_000

// MemoryDedupe remembers the latest identities of this process. It is exact
// within its window; after a restart it is empty, so effects that must not
// happen twice need package inbox.
type MemoryDedupe struct {
	seed maphash.Seed
	keys maphash.Seed

	mu     sync.Mutex
	prints *recent.Window // a print of the payload for each identity
}

// identity is a message_id, or the hash of a topic and dedupe_key.
type identity = recent.ID

// NewMemoryDedupe returns a store of at most limit identities; a message with
// a dedupe_key takes two. Zero: DefaultDedupeWindow.
func NewMemoryDedupe(limit int) *MemoryDedupe {
	if limit <= 0 {
		limit = DefaultDedupeWindow
	}
	return &MemoryDedupe{
		seed: maphash.MakeSeed(), keys: maphash.MakeSeed(),
		prints: recent.New(limit),
	}
}

// Seen looks m up.
func (d *MemoryDedupe) Seen(_ context.Context, m *Message) (Seen, error) {
	id, key, hasKey := d.identities(m)
	d.mu.Lock()
	idPrint, idKnown := d.prints.Get(id)
	var keyPrint uint64
	var keyKnown bool
	if hasKey {
		keyPrint, keyKnown = d.prints.Get(key)
	}
	d.mu.Unlock()
	if !idKnown && !keyKnown {
		return SeenNot, nil
	}
	now := d.print(m)
	switch {
	case idKnown && idPrint != now:
		return SeenIDConflict, nil
	case keyKnown && keyPrint != now:
		return SeenKeyConflict, nil
	}
	return SeenSame, nil
}

// Mark remembers m, and forgets the oldest identities over the limit.
func (d *MemoryDedupe) Mark(_ context.Context, m *Message) error {
	id, key, hasKey := d.identities(m)
	now := d.print(m)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.prints.Put(id, now)
	if hasKey {
		d.prints.Put(key, now)
	}
	return nil
}

// expect prepares for a Seen of m soon.
func (d *MemoryDedupe) expect(m *Message) {
	id, key, hasKey := d.identities(m)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.prints.Expect(id)
	if hasKey {
		d.prints.Expect(key)
	}
}

func (d *MemoryDedupe) print(m *Message) uint64 { return maphash.Bytes(d.seed, m.Payload) }

func (d *MemoryDedupe) identities(m *Message) (id, key identity, hasKey bool) {
	if id = identity(m.id); id == (identity{}) {
		id = d.idOf(m.Headers.MessageID)
	}
	if m.Headers.DedupeKey != "" {
		return id, d.hash(m.Topic, m.Headers.DedupeKey), true
	}
	return id, key, false
}

// idOf is for messages that nobody has read from a record.
func (d *MemoryDedupe) idOf(id string) identity {
	if u, err := ParseID(id); err == nil {
		return identity(u)
	}
	return d.hash("id", id)
}

// hash makes an identity of a scope and a name, with two independent seeds.
func (d *MemoryDedupe) hash(scope, name string) identity {
	sum := func(seed maphash.Seed) uint64 {
		var h maphash.Hash
		h.SetSeed(seed)
		_, _ = h.WriteString(scope)
		_ = h.WriteByte(0)
		_, _ = h.WriteString(name)
		return h.Sum64()
	}
	return recent.IDOf(sum(d.seed), sum(d.keys))
}
