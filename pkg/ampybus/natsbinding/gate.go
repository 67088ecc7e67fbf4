package natsbinding

import (
	"context"
	"sync"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// gate holds a lane's records back while the lane is paused. Once set(true)
// has returned, nothing passes.
type gate struct {
	mu      sync.Mutex
	cond    sync.Cond
	paused  bool
	sending bool          // somebody offers an event right now
	changed chan struct{} // closed when paused changes
}

func newGate() *gate {
	g := &gate{changed: make(chan struct{})}
	g.cond.L = &g.mu
	return g
}

func (g *gate) set(on bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.paused == on {
		return
	}
	g.paused = on
	close(g.changed)
	g.changed = make(chan struct{})
	for on && g.paused && g.sending {
		g.cond.Wait()
	}
}

// pass offers ev until it is received; false when ctx ended first.
func (g *gate) pass(ctx context.Context, events chan<- driver.Event, ev driver.Event) bool {
	for {
		g.mu.Lock()
		changed, paused := g.changed, g.paused
		g.sending = !paused
		g.mu.Unlock()
		out := events
		if paused {
			out = nil
		}
		sent, ended := false, false
		select {
		case out <- ev:
			sent = true
		case <-changed:
		case <-ctx.Done():
			ended = true
		}
		g.mu.Lock()
		g.sending = false
		g.cond.Broadcast()
		g.mu.Unlock()
		if sent || ended {
			return sent
		}
	}
}
