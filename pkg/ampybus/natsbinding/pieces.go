package natsbinding

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/AmpyFin/ampy-bus/internal/wildcard"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// maxTopicEntries bounds the topics remembered one by one, about 15 MB.
const maxTopicEntries = 100_000

// pieces are the streams that hold parts of scopes, where foreign streams cut a
// scope up. The server is asked once for each stream, not for each topic: a
// domain has tens of thousands of them.
type pieces struct {
	turn chan struct{} // held by whoever asks the server

	mu       sync.RWMutex
	topics   map[string]*log // seen so far, and subjects without wildcards
	patterns []piece
}

// piece is a subject of a stream, with wildcards.
type piece struct {
	subject string
	log     *log
}

func newPieces() *pieces {
	return &pieces{turn: make(chan struct{}, 1), topics: make(map[string]*log)}
}

// lookup is the topic's log if its stream is known.
func (p *pieces) lookup(topic string) *log {
	p.mu.RLock()
	l, patterns := p.topics[topic], p.patterns
	p.mu.RUnlock()
	if l != nil || len(patterns) == 0 {
		return l
	}
	i := slices.IndexFunc(patterns, func(x piece) bool { return wildcard.Match(x.subject, topic) })
	if i < 0 {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.topics) < maxTopicEntries {
		p.topics[topic] = patterns[i].log
	}
	return patterns[i].log
}

// add notes what a stream holds.
func (p *pieces) add(subjects []string, l *log) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.patterns = slices.Clone(p.patterns) // a lookup may be reading the one before
	for _, s := range subjects {
		if strings.ContainsAny(s, "*>") {
			p.patterns = append(p.patterns, piece{s, l})
		} else {
			p.topics[s] = l
		}
	}
}

// forget drops l.
func (p *pieces) forget(l *log) {
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.DeleteFunc(p.topics, func(_ string, v *log) bool { return v == l })
	p.patterns = slices.DeleteFunc(slices.Clone(p.patterns), func(x piece) bool { return x.log == l })
}

// findPiece asks the server which stream holds topic, one asker at a time: the
// next one may find its stream known.
func (lt *logTable) findPiece(ctx context.Context, topic string) (*log, error) {
	select {
	case lt.pieces.turn <- struct{}{}:
		defer func() { <-lt.pieces.turn }()
	case <-ctx.Done():
		return nil, fmt.Errorf("find the stream of %s: %w: %w", topic, driver.ErrUnavailable, ctx.Err())
	}
	if l := lt.pieces.lookup(topic); l != nil {
		return l, nil
	}
	infos, err := lt.t.overlapping(ctx, topic)
	if err != nil {
		return nil, err
	}
	if len(infos) == 0 {
		return nil, fmt.Errorf("publish to %s: %w: other streams hold a part of its domain, so none is made: add the subject to one of them", topic, driver.ErrNoLog)
	}
	l := lt.describe(infos[0], "")
	lt.pieces.add(infos[0].Config.Subjects, l)
	return l, nil
}
