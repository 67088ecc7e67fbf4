package bench

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/AmpyFin/ampy-bus/internal/brokertest"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/membinding"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/natsbinding"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/protopayload"
)

func load(count int) Load {
	return Load{
		Topic: "ampy.dev.bars.v1.XNAS.AAPL", Schema: "ampy.bars.v1.BarBatch",
		Producer: "bench@test", Source: "bench", Key: "XNAS.AAPL", Count: count, PayloadBytes: 100,
	}
}

// publisherFunc is a Publisher made of a function.
type publisherFunc func(e ampybus.Envelope, done func(error))

func (f publisherFunc) Publish(e ampybus.Envelope, done func(error)) { f(e, done) }

func TestEveryMessageOfTheLoadIsStored(t *testing.T) {
	bus := membinding.New(membinding.Config{}).Connect(ampybus.Options{})
	defer bus.Close()
	l := load(200)
	l.Keys = 7
	r, err := Run(t.Context(), "bus", Bus{bus}, l)
	if err != nil || r.Published != 200 || r.Failed+r.Uncertain != 0 || r.Bytes != 200*100 {
		t.Fatalf("%+v, %v", r.Doc(), err)
	}
	keys := map[string]int{}
	for m, err := range bus.Read(t.Context(), ampybus.Range{Pattern: l.Topic}) {
		if err != nil {
			t.Fatal(err)
		}
		keys[m.Headers.PartitionKey]++
	}
	if len(keys) != 7 || keys["XNAS.AAPL"] != 29 || keys["XNAS.AAPL|6"] != 28 {
		t.Errorf("keys %v", keys)
	}
}

func TestThePayloadDecodesAsEveryTypeAndHasItsSize(t *testing.T) {
	for _, size := range []int{0, 1, 20, 127, 128, 1000, 1 << 20} {
		l := load(1)
		l.PayloadBytes = size
		p := l.payload()
		if size > 20 && (len(p) > size || len(p) < size-1) {
			t.Errorf("%d bytes, want %d", len(p), size)
		}
		for _, fqdn := range protopayload.Schemas() {
			if _, err := protopayload.Decode(fqdn, p); err != nil {
				t.Fatalf("%d bytes as %s: %v", size, fqdn, err)
			}
		}
	}
}

func TestALoadThatTheBusWouldRefuseDoesNotStart(t *testing.T) {
	l := load(10)
	l.Topic = "ampy.dev.bars.v1.*"
	_, err := Run(t.Context(), "bus", publisherFunc(func(ampybus.Envelope, func(error)) { t.Error("published") }), l)
	if ampybus.FieldErrors(err) == nil {
		t.Errorf("got %v", err)
	}
}

func TestOutcomesAreToldApart(t *testing.T) {
	n := 0
	p := publisherFunc(func(_ ampybus.Envelope, done func(error)) {
		n++
		done(map[int]error{2: ampybus.ErrFull, 3: fmt.Errorf("x: %w", ampybus.ErrUncertain)}[n])
	})
	r, err := Run(t.Context(), "x", p, load(5))
	if err != nil || r.Published != 3 || r.Failed != 1 || r.Uncertain != 1 || !errors.Is(r.Err, ampybus.ErrFull) {
		t.Errorf("%+v, %v, %v", r.Doc(), r.Err, err)
	}
}

// A broker that stalls delays all messages that were due meanwhile: counting
// from when they were sent would show one slow message of a hundred.
func TestAtAFixedRateAStallCountsForEveryMessageThatWasDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		p := publisherFunc(func(_ ampybus.Envelope, done func(error)) {
			if n++; n == 1 {
				<-time.After(time.Second)
			}
			done(nil)
		})
		l := load(100)
		l.Rate = 100 // due within the second of the stall
		r, err := Run(t.Context(), "x", p, l)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Latency(50); got < 400*time.Millisecond || got > 600*time.Millisecond {
			t.Errorf("p50 is %s, want about 500ms", got)
		}
	})
}

func TestMessagesAreSentAtTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Duration
		began := time.Now()
		l := load(5)
		l.Rate = 10
		p := publisherFunc(func(_ ampybus.Envelope, done func(error)) { at = append(at, time.Since(began)); done(nil) })
		if _, err := Run(t.Context(), "x", p, l); err != nil {
			t.Fatal(err)
		}
		want := []time.Duration{0, 100 * time.Millisecond, 200 * time.Millisecond, 300 * time.Millisecond, 400 * time.Millisecond}
		if !slices.Equal(at, want) {
			t.Errorf("sent at %v, want %v", at, want)
		}
	})
}

func TestARunThatIsStoppedReportsWhatItSent(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	n := 0
	p := publisherFunc(func(_ ampybus.Envelope, done func(error)) {
		if n++; n == 10 {
			stop()
		}
		done(nil)
	})
	if r, err := Run(ctx, "x", p, load(1000)); err != nil || r.Published != 10 || r.Wanted != 1000 {
		t.Errorf("%+v, %v", r.Doc(), err)
	}
}

func TestTheSummaryIsTheLineThatScriptsLookFor(t *testing.T) {
	r := Result{Published: 10_000, Took: 2300 * time.Millisecond}
	if got, want := r.Summary(), "Published 10000 messages in 2.3s (4347.8 msg/s)"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	r.Took = 23 * time.Millisecond
	if got := r.Summary(); !regexp.MustCompile(`^Published 10000 messages in 0\.023s \([0-9.]+ msg/s\)$`).MatchString(got) {
		t.Errorf("%q", got)
	}
}

func TestAComparisonTakesTurns(t *testing.T) {
	var turns []string
	side := func(name string) Turn {
		return Turn{name, func(context.Context) (*Result, error) {
			turns = append(turns, name)
			return newResult(name, load(1)), nil
		}}
	}
	c, err := Compare(t.Context(), side("a"), side("b"), 2)
	if want := []string{"a", "b", "a", "b"}; err != nil || !slices.Equal(turns, want) || len(c.A) != 2 || len(c.B) != 2 {
		t.Errorf("turns %v, want %v (%v)", turns, want, err)
	}
}

func TestRatiosCompareTheTwoSidesOfEachRound(t *testing.T) {
	result := func(seconds, cpu int) *Result {
		r := newResult("x", load(100))
		r.Published, r.Took = 100, time.Duration(seconds)*time.Second
		r.used.cpu = time.Duration(cpu) * time.Second
		return r
	}
	c := Comparison{
		A: []*Result{result(2, 1), result(1, 1), result(4, 1)},
		B: []*Result{result(1, 2), result(1, 2), result(1, 2)},
	}
	got := c.Ratios()
	if want := (Ratio{Median: 0.5, Least: 0.25, Most: 1}); got.Rate != want {
		t.Errorf("rate %+v, want %+v", got.Rate, want)
	}
	if got.CPU != (Ratio{0.5, 0.5, 0.5}) {
		t.Errorf("cpu %+v", got.CPU)
	}
	if line := c.String(); line != "ratio x/x: rate=0.50(0.25..1.00) cpu=0.50 allocs=0.00" {
		t.Error(line)
	}
}

func memoryBus(t *testing.T) Bus {
	t.Helper()
	bus := membinding.New(membinding.Config{}).Connect(ampybus.Options{})
	t.Cleanup(func() { _ = bus.Close() })
	return Bus{bus}
}

func TestConsumingAndReadingTakeWhatWasStored(t *testing.T) {
	bus, l := memoryBus(t), load(300)
	from := time.Now()
	if _, err := Run(t.Context(), "bus", bus, l); err != nil {
		t.Fatal(err)
	}
	for name, run := range map[string]func(context.Context, string, Client, Load, time.Time) (*Result, error){
		"consume": RunConsume, "read": RunRead,
	} {
		r, err := run(t.Context(), "bus", bus, l, from)
		if err != nil || r.Received != 300 || r.Took <= 0 || r.Published != 0 || r.Latency(99) != 0 {
			t.Errorf("%s: %+v, %v", name, r.Doc(), err)
		}
	}
}

func TestEndToEndCountsEveryMessageOnceAndNoProbe(t *testing.T) {
	l := load(200)
	l.Rate = 20_000
	r, err := RunEndToEnd(t.Context(), "bus", memoryBus(t), l)
	if err != nil || r.Published != 200 || r.Received != 200 || r.latency.TotalCount() != 200 {
		t.Fatalf("%+v, %v", r.Doc(), err)
	}
}

func TestCallersPublishTheWholeLoad(t *testing.T) {
	r, err := RunCallers(t.Context(), "bus", memoryBus(t), load(500), 7)
	if err != nil || r.Published != 500 || r.latency.TotalCount() != 500 {
		t.Fatalf("%+v, %v", r.Doc(), err)
	}
}

func TestEveryModeMeasuresItsWork(t *testing.T) {
	l := load(300)
	l.Rate = 20_000
	for name, w := range map[string]Work{
		"publish":    {Mode: Publish, Load: load(300)},
		"callers":    {Mode: Publish, Load: load(300), Callers: 3},
		"batches":    {Mode: Publish, Load: load(300), Batch: 7},
		"batches, 3": {Mode: Publish, Load: load(300), Batch: 64, Callers: 3},
		"consume":    {Mode: Consume, Load: load(300)},
		"read":       {Mode: Read, Load: load(300)},
		"end to end": {Mode: EndToEnd, Load: l},
	} {
		bus := memoryBus(t)
		if err := w.Store(t.Context(), bus); err != nil {
			t.Fatal(err)
		}
		r, err := w.Run(t.Context(), "bus", bus)
		if err != nil || r.Count() != 300 || r.Doc().Mode != w.Mode || r.Doc().Batch != w.Batch {
			t.Errorf("%s: %+v, %v", name, r.Doc(), err)
		}
		if measured := r.Doc().P99Micros != nil; measured != (w.Mode == Publish || w.Mode == EndToEnd) {
			t.Errorf("%s: a latency: %t", name, measured)
		}
	}
}

func TestTheRawSideSendsTheSameMessages(t *testing.T) {
	s := brokertest.Start(t)
	bus, err := natsbinding.Connect(natsbinding.Config{URL: s.URL()})
	if err != nil {
		t.Fatal(err)
	}
	defer bus.Close()
	raw, err := DialRawNATS(natsbinding.Config{URL: s.URL()})
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	from := time.Now()
	sides := []struct { // the bus first: it makes the stream
		name string
		Client
	}{{"bus", Bus{bus}}, {"raw", raw}}
	for _, c := range sides {
		name := c.name
		if r, err := RunBatches(t.Context(), name, c, load(50), 20, 1); err != nil || r.Published != 50 || r.Err != nil {
			t.Errorf("%s: %+v, %v", name, r.Doc(), err)
		}
		if r, err := Run(t.Context(), name, c, load(50)); err != nil || r.Published != 50 || r.Err != nil {
			t.Errorf("%s: %+v, %v", name, r.Doc(), err)
		}
		if r, err := RunCallers(t.Context(), name, c, load(50), 2); err != nil || r.Published != 50 || r.Err != nil {
			t.Errorf("%s: %+v, %v", name, r.Doc(), err)
		}
	}
	for _, c := range sides {
		name := c.name
		if r, err := RunConsume(t.Context(), name, c, load(300), from); err != nil || r.Received != 300 {
			t.Errorf("%s: %+v, %v", name, r.Doc(), err)
		}
		if r, err := RunRead(t.Context(), name, c, load(300), from); err != nil || r.Received != 300 {
			t.Errorf("%s: %+v, %v", name, r.Doc(), err)
		}
	}
	n := 0
	for m, err := range bus.Read(t.Context(), ampybus.Range{Pattern: load(1).Topic}) {
		if err != nil || m.Headers.Producer != "bench@test" || len(m.Lints) > 0 {
			t.Fatalf("%v, %v", err, m)
		}
		n++
	}
	if n != 300 {
		t.Errorf("the broker holds %d messages, want 300", n)
	}
}
