package redrive

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// planVersion is the version of a plan's JSON.
const planVersion = 1

// Plan lists the dead letters that a redrive would send, in the order in which
// it would send them. It is a value that can be saved, reviewed and cut down.
type Plan struct {
	Version int       `json:"version"`
	Pattern string    `json:"pattern"` // of the dead-letter topics
	Made    time.Time `json:"made"`
	Filter  Filter    `json:"filter"`
	Entries []Entry   `json:"entries"`
}

// Entry is one dead letter of a plan.
type Entry struct {
	Origin     string    `json:"origin"` // "log:position" of the dead letter
	MessageID  string    `json:"message_id"`
	Target     string    `json:"target"` // the topic it goes back to
	Key        string    `json:"key"`
	Reason     string    `json:"reason"`
	Group      string    `json:"group"`
	RetryCount int       `json:"retry_count"`
	DiedAt     time.Time `json:"died_at"`
	Size       int       `json:"size"`
	// Hash is payload_hash: applying refuses an entry whose bytes are others.
	Hash string `json:"payload_hash"`
}

// Make plans the redrive of the open dead letters under pattern that f
// selects. It changes nothing. What is dead-lettered later is not part of the
// plan, so applying it ends even if the same messages fail again.
func Make(ctx context.Context, bus *ampybus.Bus, pattern string, f Filter) (*Plan, error) {
	m, err := f.compile()
	if err != nil {
		return nil, err
	}
	p := &Plan{Version: planVersion, Pattern: pattern, Made: time.Now().UTC(), Filter: f, Entries: []Entry{}}
	err = open(ctx, bus, pattern, func(d *ampybus.DeadLetter) (bool, error) {
		ok, err := m.match(d)
		if ok {
			p.Entries = append(p.Entries, entryOf(d))
		}
		return f.Limit == 0 || len(p.Entries) < f.Limit, err
	})
	return p, err
}

// open visits the open dead letters until visit returns false.
func open(ctx context.Context, bus *ampybus.Bus, pattern string, visit func(*ampybus.DeadLetter) (bool, error)) error {
	for d, err := range bus.DeadLetters(ctx, ampybus.Range{Pattern: pattern}) {
		var gap *driver.GapError
		if errors.As(err, &gap) {
			continue // expired dead letters cannot be sent
		}
		if err != nil {
			return err
		}
		if more, err := visit(d); err != nil || !more {
			return err
		}
	}
	return nil
}

func entryOf(d *ampybus.DeadLetter) Entry {
	h := &d.Headers
	return Entry{
		Origin: d.Origin(), MessageID: h.MessageID, Target: d.Target, Key: h.PartitionKey,
		Reason: h.DLQ.Reason, Group: h.DLQ.Group, RetryCount: h.RetryCount,
		DiedAt: diedAt(d), Size: len(d.Record.Value), Hash: h.PayloadHash,
	}
}

// maxPlanBytes bounds what ReadPlan takes in: some hundred thousand entries.
const maxPlanBytes = 64 << 20

// WritePlan writes p as JSON.
func WritePlan(w io.Writer, p *Plan) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	if err := enc.Encode(p); err != nil {
		return fmt.Errorf("write plan: %w", err)
	}
	return nil
}

// ReadPlan reads what WritePlan wrote. Unknown fields, another version and
// trailing data are refused.
func ReadPlan(r io.Reader) (*Plan, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxPlanBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read plan: %w", err)
	}
	if len(b) > maxPlanBytes {
		return nil, fmt.Errorf("read plan: over %d bytes; use a narrower filter", maxPlanBytes)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	p := new(Plan)
	if err := dec.Decode(p); err != nil {
		return nil, fmt.Errorf("read plan: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("read plan: data behind the plan")
	}
	if p.Version != planVersion {
		return nil, fmt.Errorf("read plan: version %d, this program reads version %d", p.Version, planVersion)
	}
	return p, nil
}
