package membinding

import (
	"bytes"
	"slices"
	"sort"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// log is an ordered sequence of records. Positions begin at 1 and have no gaps.
// The broker's lock guards it.
type log struct {
	name    string
	entries []entry
	first   uint64 // position of entries[0], or of the next record
	bytes   int64

	ids  map[string]uint64 // position by ID, in the dedupe window
	seen []sighting        // the same, oldest first
}

type entry struct {
	rec      driver.Record
	storedAt time.Time
}

type sighting struct {
	id string
	at time.Time
}

func newLog(name string) *log {
	return &log{name: name, first: 1, ids: make(map[string]uint64)}
}

// next is the position behind the newest record.
func (l *log) next() uint64 { return l.first + uint64(len(l.entries)) }

// at is the record at a position that is held.
func (l *log) at(pos uint64) *entry { return &l.entries[pos-l.first] }

// append stores a copy of rec, and returns its position.
func (l *log) append(rec driver.Record, now time.Time) uint64 {
	pos := l.next()
	if rec.ID != "" {
		l.ids[rec.ID] = pos
		l.seen = append(l.seen, sighting{rec.ID, now})
	}
	l.entries = append(l.entries, entry{cloneRecord(rec), now})
	l.bytes += int64(size(rec))
	return pos
}

// forget drops IDs from before the dedupe window. A truncated record's ID
// stays, as on JetStream.
func (l *log) forget(before time.Time) {
	n := sort.Search(len(l.seen), func(i int) bool { return !l.seen[i].at.Before(before) })
	for _, s := range l.seen[:n] {
		delete(l.ids, s.id)
	}
	clear(l.seen[:n])
	l.seen = l.seen[n:]
}

// truncate drops the records below a position.
func (l *log) truncate(below uint64) {
	for l.first < below && len(l.entries) > 0 {
		l.bytes -= int64(size(l.entries[0].rec))
		l.entries[0] = entry{}
		l.entries = l.entries[1:]
		l.first++
	}
}

// since is the position of the oldest record stored at or after t.
func (l *log) since(t time.Time) uint64 {
	n := sort.Search(len(l.entries), func(i int) bool { return !l.entries[i].storedAt.Before(t) })
	return l.first + uint64(n)
}

// seek is the position of the oldest record of p in [pos, end), or end.
func (l *log) seek(p pattern, pos, end uint64) uint64 {
	for end = min(end, l.next()); pos < end; pos++ {
		if p.matches(l.at(pos).rec.Topic) {
			return pos
		}
	}
	return max(pos, end)
}

// count is the number of records of p from pos on.
func (l *log) count(p pattern, pos uint64) uint64 {
	n := uint64(0)
	for pos = l.seek(p, max(pos, l.first), l.next()); pos < l.next(); pos = l.seek(p, pos+1, l.next()) {
		n++
	}
	return n
}

// delivery is a copy of the record at pos, for one receiver.
func (l *log) delivery(pos uint64, deliveries int) driver.Delivery {
	e := l.at(pos)
	return driver.Delivery{
		Record:     cloneRecord(e.rec),
		Log:        l.name,
		Pos:        pos,
		StoredAt:   e.storedAt,
		Deliveries: deliveries,
	}
}

func cloneRecord(r driver.Record) driver.Record {
	r.Headers = slices.Clone(r.Headers)
	r.Value = bytes.Clone(r.Value)
	return r
}

// size is what a record counts against limits.
func size(r driver.Record) int {
	n := len(r.Value)
	for _, h := range r.Headers {
		n += len(h.Name) + len(h.Value)
	}
	return n
}
