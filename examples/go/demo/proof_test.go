package main

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	barsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/bars/v1"
	commonv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/common/v1"
	fillsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/fills/v1"
	positionsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/positions/v1"
	signalsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/signals/v1"
	"google.golang.org/protobuf/proto"

	"github.com/AmpyFin/ampy-bus/examples/go/monitor"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// mustFail checks that the proof fails, for the reason that it should.
func mustFail(t *testing.T, e *Evidence, want string) {
	t.Helper()
	err := e.prove(io.Discard)
	var failed *ProofError
	if !errors.As(err, &failed) {
		t.Fatalf("the proof says %v, want a *ProofError", err)
	}
	if !strings.Contains(strings.Join(failed.Failed, "\n"), want) {
		t.Errorf("the proof fails with %q, which does not say %q", failed.Failed, want)
	}
	if code := exitCode(err, io.Discard); code != exitProof {
		t.Errorf("exit %d, want %d", code, exitProof)
	}
}

// TestProofFailsOnTamperedEvidence takes what a good session left on the broker
// and changes one thing.
func TestProofFailsOnTamperedEvidence(t *testing.T) {
	var good *Evidence
	play(t, nil, func(e *Evidence, err error) {
		if err != nil {
			t.Fatal(err)
		}
		if err := e.prove(t.Output()); err != nil {
			t.Fatal(err)
		}
		good = e
	})
	for _, c := range []struct {
		name   string
		tamper func(e *Evidence)
		want   string
	}{
		{"a batch of bars is lost", func(e *Evidence) { e.Bars = e.Bars[1:] }, "is not on the bus as it is in the file"},
		{"a bar is changed", func(e *Evidence) { e.Bars = replace(e.Bars, 0, changedVolume) }, "is not on the bus as it is in the file"},
		{"bars change places", func(e *Evidence) { e.Bars = swapped(e.Bars, 0, 2) }, "is stored behind"},
		{"a signal is lost", func(e *Evidence) { e.Signals = e.Signals[1:] }, "has no signal"},
		{"a decision is lost", func(e *Evidence) { e.Signals = slices.DeleteFunc(slices.Clone(e.Signals), isLastDecision(e)) }, "was scored and not decided"},
		{"an order is lost", func(e *Evidence) { e.Orders = without(e.Orders, e.Orders[1].Headers.MessageID) }, "has no order before it"},
		{"an order is placed twice", func(e *Evidence) { e.Orders = append(slices.Clone(e.Orders), renamed(e.Orders[1])) }, "as two different messages"},
		{"orders change places", func(e *Evidence) { e.Orders = storedBackwards(e.Orders) }, "is stored behind a later one"},
		{"a fill is lost", func(e *Evidence) { e.Fills = without(e.Fills, e.Fills[1].Headers.MessageID) }, "ordered"},
		{"an order is filled twice", func(e *Evidence) { e.Fills = append(slices.Clone(e.Fills), executedAgain(e.Fills[1])) }, "ordered"},
		{"a final snapshot is wrong", func(e *Evidence) { e.Snapshots = replace(e.Snapshots, len(e.Snapshots)-1, oneMore) }, "the final snapshot has"},
		{"snapshots change places", func(e *Evidence) { e.Snapshots = reversed(e.Snapshots) }, "is stored behind one as of"},
		{"a dead letter is not settled", func(e *Evidence) { e.DeadLetters = []*ampybus.DeadLetter{unsettled(e.DeadLetters[0])} }, "is not settled"},
		{"the dead letter is lost", func(e *Evidence) { e.DeadLetters = nil }, "0 dead letters"},
		{"no fault happened", func(e *Evidence) { e.Metrics = monitor.New() }, "the faults did not happen"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bad := *good
			c.tamper(&bad)
			mustFail(t, &bad, c.want)
		})
	}
}

// TestProofFailsWhenAFillIsNotDelivered loses one fill between the broker and
// the positions service.
func TestProofFailsWhenAFillIsNotDelivered(t *testing.T) {
	lose := func(d driver.Delivery) (driver.Delivery, bool) { return d, d.Pos != 3 }
	play(t, tampering(lose), func(e *Evidence, err error) {
		if err != nil {
			t.Fatal(err)
		}
		mustFail(t, e, "the final snapshot has")
	})
}

// TestProofFailsWhenAFillIsAppliedTwice makes the second copy of a fill, which
// the session stores, look like another execution.
func TestProofFailsWhenAFillIsAppliedTwice(t *testing.T) {
	disguise := func(d driver.Delivery) (driver.Delivery, bool) {
		if !strings.HasSuffix(d.ID, ".again") {
			return d, true
		}
		h, _, err := ampybus.DecodeHeaders(d.Headers)
		if err != nil {
			t.Error(err)
		}
		h.MessageID, h.DedupeKey = ampybus.NewID(), h.DedupeKey+"-again"
		d.Headers = ampybus.EncodeHeaders(h)
		return d, true
	}
	play(t, tampering(disguise), func(e *Evidence, err error) {
		if err != nil {
			t.Fatal(err)
		}
		mustFail(t, e, "the final snapshot has")
	})
}

func replace[T proto.Message](all []Stored[T], i int, change func(T)) []Stored[T] {
	all = slices.Clone(all)
	x, _ := proto.Clone(all[i].Payload).(T)
	change(x)
	all[i].Payload = x
	return all
}

func swapped[T proto.Message](all []Stored[T], i, j int) []Stored[T] {
	all = slices.Clone(all)
	all[i], all[j] = all[j], all[i]
	return all
}

// storedBackwards are records whose times of storing fall, all behind the last.
func storedBackwards[T proto.Message](all []Stored[T]) []Stored[T] {
	all = slices.Clone(all)
	last := all[len(all)-1].StoredAt
	for i := range all {
		m := all[i].Message.Clone()
		m.StoredAt = last.Add(time.Duration(len(all)-i) * time.Second)
		all[i].Message = m
	}
	return all
}

func reversed[T proto.Message](all []Stored[T]) []Stored[T] {
	all = slices.Clone(all)
	slices.Reverse(all)
	return all
}

func without[T proto.Message](all []Stored[T], id string) []Stored[T] {
	return slices.DeleteFunc(slices.Clone(all), func(x Stored[T]) bool { return x.Headers.MessageID == id })
}

// renamed is the same payload under another message id.
func renamed[T proto.Message](x Stored[T]) Stored[T] {
	m := x.Message.Clone()
	m.Headers.MessageID = ampybus.NewID()
	return Stored[T]{m, x.Payload}
}

func executedAgain(x Stored[*fillsv1.FillEvent]) Stored[*fillsv1.FillEvent] {
	x = renamed(x)
	x.Headers.DedupeKey += "-again"
	return x
}

func unsettled(d *ampybus.DeadLetter) *ampybus.DeadLetter {
	open := *d
	open.Settled = ""
	return &open
}

// tampering returns a transport on which every fill goes through change, which
// may drop it.
func tampering(change func(driver.Delivery) (driver.Delivery, bool)) func(driver.Transport) driver.Transport {
	return func(t driver.Transport) driver.Transport { return tampered{t, change} }
}

type tampered struct {
	driver.Transport
	change func(driver.Delivery) (driver.Delivery, bool)
}

func (t tampered) apply(ds []driver.Delivery) []driver.Delivery {
	var out []driver.Delivery
	for _, d := range ds {
		keep := true
		if strings.Contains(d.Topic, ".fills.") {
			d, keep = t.change(d)
		}
		if keep {
			out = append(out, d)
		}
	}
	return out
}

func (t tampered) Open(ctx context.Context, c driver.GroupConfig) (driver.Source, error) {
	src, err := t.Transport.Open(ctx, c)
	if err != nil {
		return nil, err
	}
	events := make(chan driver.Event)
	go func() {
		defer close(events)
		for e := range src.Events() {
			e.Records = t.apply(e.Records)
			events <- e
		}
	}()
	return tamperedSource{src, events}, nil
}

type tamperedSource struct {
	driver.Source
	events chan driver.Event
}

func (s tamperedSource) Events() <-chan driver.Event { return s.events }

func (t tampered) Read(ctx context.Context, c driver.ReadConfig) (driver.Reader, error) {
	r, err := t.Transport.Read(ctx, c)
	return tamperedReader{r, t}, err
}

type tamperedReader struct {
	driver.Reader
	t tampered
}

func (r tamperedReader) Next(ctx context.Context) ([]driver.Delivery, error) {
	ds, err := r.Reader.Next(ctx)
	return r.t.apply(ds), err
}

func oneMore(s *positionsv1.PositionSnapshot) { s.Quantity.Scaled++ }

func changedVolume(b *barsv1.BarBatch) { b.Bars[0].Volume++ }

// isLastDecision matches the newest decision, whatever its copies.
func isLastDecision(e *Evidence) func(Stored[*signalsv1.Signal]) bool {
	var last string
	for _, s := range e.Signals {
		if s.Payload.GetType() == commonv1.SignalType_SIGNAL_TYPE_ACTION {
			last = s.Headers.MessageID
		}
	}
	return func(s Stored[*signalsv1.Signal]) bool { return s.Headers.MessageID == last }
}
