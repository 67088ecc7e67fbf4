package natsbinding

import (
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/AmpyFin/ampy-bus/internal/mutant"
)

// status handles what the server says about a pull (NATS ADR-13).
func (p *puller) status(m *nats.Msg) {
	text := m.Header.Get("Description")
	switch m.Header.Get("Status") {
	case "100":
		p.heartbeat(m)
	case "404", "408":
		p.asked = 0
		p.ask()
	case "409":
		p.conflict(text)
	case "503":
		p.stop(errNoConsumer)
	default:
		p.stop(fmt.Errorf("%w: the server refuses the pull: %s %s", errNoConsumer, m.Header.Get("Status"), text))
	}
}

func (p *puller) heartbeat(m *nats.Msg) {
	if last, ok := decimal(m.Header.Get("Nats-Last-Consumer")); ok && last != p.seq && !mutant.On("no-reset-on-takeover") {
		p.stop(errDeliveryGap)
		return
	}
	if pos, ok := decimal(m.Header.Get("Nats-Last-Stream")); ok {
		p.scanned = max(p.scanned, pos)
	}
}

func (p *puller) conflict(text string) {
	switch {
	case strings.Contains(text, "MaxBytes"):
		if p.got == 0 && p.asked > 0 {
			p.least = 2 * p.bytes // one record is larger than the whole pull
		}
		p.asked = 0
		p.ask()
	case strings.Contains(text, "Batch Completed"):
		// All of a pull came, and the next was opened with its last record: one
		// more would be one too many, and then one more again.
		p.ask()
	case strings.Contains(text, "Leadership Change"):
		p.asked = 0
		p.ask()
	default: // consumer deleted, server shutdown, limits of a foreign durable
		p.stop(fmt.Errorf("%w: %s", errNoConsumer, text))
	}
}

// check stops a puller whose open pull has been silent for too long.
func (p *puller) check(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.asked > 0 && p.err == nil && now.Sub(p.heard) > 2*p.c.heartbeat+p.c.heartbeat/2 {
		p.stop(errSilent)
	}
}

// interrupt stops the puller after the connection broke.
func (p *puller) interrupt() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stop(errInterrupted)
}

// idle reports the position up to which the server has looked, if everything
// it found has been taken.
func (p *puller) idle() (scanned uint64, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.scanned, p.waiting == 0 && p.err == nil
}

// ackPrefix is the beginning of acknowledgement subjects, once known.
func (p *puller) ackPrefix() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.prefix == "" {
		return ""
	}
	return receiptStart + p.prefix[len(receiptStart):]
}

func (p *puller) close() {
	p.mu.Lock()
	if !p.closed {
		p.t.pulls.add(-1)
		p.t.folds.remove(p.c.stream + "." + p.c.consumer)
	}
	p.closed = true
	p.mu.Unlock()
	_ = p.sub.Unsubscribe()
}
