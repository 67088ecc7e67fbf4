package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/AmpyFin/ampy-bus/internal/bench"
	"github.com/AmpyFin/ampy-bus/internal/plot"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/natsbinding"
)

// TestMain runs the tests; the same binary, started by a test, is a server.
func TestMain(m *testing.M) {
	if spec := os.Getenv(serverEnv); spec != "" {
		os.Exit(serve(spec, os.Stdin, os.Stdout))
	}
	os.Exit(m.Run())
}

// powers is a curve whose columns grow with the given powers of x.
func powers(columns []Column, with ...float64) Curve {
	c := Curve{Name: "c", Title: "a title", X: "x", Columns: columns}
	for _, x := range []float64{1, 10, 100, 1000} {
		p := Point{X: x}
		for _, w := range with {
			p.Y = append(p.Y, 3*math.Pow(x, w))
		}
		c.Points = append(c.Points, p)
	}
	return c
}

func TestWhatGrowsFasterThanItMayIsNamed(t *testing.T) {
	c := powers([]Column{each("flat"), each("climbs"), total("linear"), total("quadratic"), noted("rate"), total("log")},
		0, 0.5, 1, 2, 3, 0.1)
	if got, want := c.superlinear(), []string{"climbs", "quadratic"}; !slices.Equal(got, want) {
		t.Errorf("named %v, want %v", got, want)
	}
	var out bytes.Buffer
	if err := c.table(&out); err != nil || !strings.Contains(out.String(), "grows too fast: quadratic") {
		t.Errorf("%v\n%s", err, &out)
	}
	out.Reset()
	if c.markdown(&out); !strings.Contains(out.String(), "| 10 | 3 | 9.49 | 30 | 300 | 3000 | 3.78 |") {
		t.Errorf("markdown\n%s", &out)
	}
}

// A fixed cost hides growth at small numbers: the last decade tells.
func TestTheExponentIsThatOfTheLastDecade(t *testing.T) {
	c := Curve{Columns: []Column{total("t")}}
	for _, x := range []float64{1, 10, 100, 1000} {
		c.Points = append(c.Points, Point{X: x, Y: []float64{1000 + x*x}})
	}
	if got, ok := c.exponent(0); !ok || got < 1.9 || got > 2.1 {
		t.Errorf("exponent %.2f, want about 2", got)
	}
}

func TestOnePointOrNoneHasNoExponent(t *testing.T) {
	c := Curve{Columns: []Column{total("t")}, Points: []Point{{X: 10, Y: []float64{0}}, {X: 20, Y: []float64{5}}}}
	if got, ok := c.exponent(0); ok {
		t.Errorf("exponent %.2f of one point", got)
	}
}

func TestOfSeveralRoundsTheLeastCostAndTheHighestRateCount(t *testing.T) {
	got := best([]Column{each("cost"), noted("rate")}, [][]float64{{3, 10}, {2, 30}, {4, 20}})
	if !slices.Equal(got, []float64{2, 30}) {
		t.Errorf("got %v", got)
	}
}

func TestCurvesAreKeptByName(t *testing.T) {
	file := filepath.Join(t.TempDir(), "curves.json")
	o := options{save: file}
	for _, c := range []Curve{{Name: "a", X: "1"}, {Name: "b"}, {Name: "a", X: "2"}} {
		if err := o.keep(c); err != nil {
			t.Fatal(err)
		}
	}
	curves, err := load(file)
	if err != nil || len(curves) != 2 || curves[0].X != "2" || curves[1].Name != "b" {
		t.Errorf("%+v, %v", curves, err)
	}
	var out bytes.Buffer
	if err := run(t.Context(), []string{"-from", file, "-o", "json"}, &out, io.Discard); err != nil || !strings.Contains(out.String(), `"name": "b"`) {
		t.Errorf("%v\n%s", err, &out)
	}
}

func TestACurveIsDrawnRelativeToItsFirstPoint(t *testing.T) {
	c := powers([]Column{total("linear"), noted("rate")}, 1, 0)
	p := c.plot()
	if len(p.Lines) != 2 || !slices.Equal(p.Lines[0].Y, []float64{1, 10, 100, 1000}) || p.Lines[1].Style != plot.Guide {
		t.Errorf("lines %+v", p.Lines)
	}
	file := filepath.Join(t.TempDir(), "new", "c.svg")
	if err := draw(file, c); err != nil {
		t.Fatal(err)
	}
	svg, err := os.ReadFile(file)
	if err != nil || xml.Unmarshal(svg, new(struct{})) != nil {
		t.Errorf("%v\n%s", err, svg)
	}
}

func TestUnknownSweepsAndFormatsAreRefused(t *testing.T) {
	for _, args := range [][]string{{"-sweep", "nothing"}, {"-o", "yaml"}, {"-sweep", "kafka-keys"}} {
		if err := run(t.Context(), args, io.Discard, io.Discard); err == nil {
			t.Errorf("%v was accepted", args)
		}
	}
	chosen, err := choose("")
	if err != nil || slices.ContainsFunc(chosen, func(s sweep) bool { return s.kafka }) {
		t.Errorf("%v, or a sweep of Kafka without being asked", err)
	}
}

func TestEverySweepSaysWhatItMeasures(t *testing.T) {
	for _, s := range sweeps() {
		if len(s.curve.Columns) == 0 || len(s.xs) < 2 || s.curve.X == "" || s.curve.Title == "" {
			t.Errorf("%s: %+v", s.curve.Name, s.curve)
		}
		if !slices.IsSorted(s.xs) {
			t.Errorf("%s: %v is not in order, which a kept server needs", s.curve.Name, s.xs)
		}
	}
	if n := len(flowValues(cost{}, cost{})); n != len(flowColumns()) {
		t.Errorf("%d values for %d columns", n, len(flowColumns()))
	}
}

func TestCPUAndMemoryAreReadBehindAnyName(t *testing.T) {
	stat := []byte("42 (a) b (c) S 1 42 42 0 -1 4194560 100 0 0 0 250 30 0 0 20 0 9 0 100 1000 200\n")
	if got := cpuIn(stat); got != 2800*time.Millisecond {
		t.Errorf("CPU %v, want 2.8s", got)
	}
	if got := cpuIn([]byte("42 (x) S")); got != 0 {
		t.Errorf("CPU %v of a line that is cut off", got)
	}
	if got := residentIn([]byte("700 55 20 1 0 90 0")); got != 55 {
		t.Errorf("resident %d pages, want 55", got)
	}
}

func TestARareTopicGetsItsShareOfALoad(t *testing.T) {
	topics := map[string]int{}
	s := &spread{topics: symbols(7), rare: rareTopic, every: 10, to: publisherFunc(func(e ampybus.Envelope, _ func(error)) {
		topics[e.Topic]++
		if err := e.Validate(); err != nil {
			t.Fatal(err)
		}
	})}
	for range 700 {
		s.Publish(ampybus.Envelope{Headers: ampybus.NewHeaders("ampy.bars.v1.BarBatch", "p", "s", "k")}, nil)
	}
	if topics[rareTopic] != 70 || len(topics) != 8 {
		t.Errorf("topics %v", topics)
	}
}

type publisherFunc func(e ampybus.Envelope, done func(error))

func (f publisherFunc) Publish(e ampybus.Envelope, done func(error)) { f(e, done) }

// rigFor runs a server of its own until the test ends.
func rigFor(t *testing.T, s sweep) (*rig, *ampybus.Bus) {
	t.Helper()
	o := options{dir: t.TempDir()}
	r, err := o.newRig(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.close)
	bus, err := r.nats(natsbinding.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeAll(bus) })
	return r, bus
}

func TestWorkIsMeasuredOnBothSides(t *testing.T) {
	r, bus := rigFor(t, sweep{})
	l := bars(2_000, 50, small)
	pub, err := r.publish(t.Context(), bench.Bus{Bus: bus}, l)
	if err != nil {
		t.Fatal(err)
	}
	group := ampybus.Consumer{Pattern: l.Topic, Group: newGroup()}
	other := group
	other.Group = newGroup()
	con, err := r.work(t.Context(), l.Count, member{bus, group}, member{bus, other})
	if err != nil {
		t.Fatal(err)
	}
	if pub.n != 2_000 || con.n != 4_000 {
		t.Errorf("published %d, delivered %d", pub.n, con.n)
	}
	for name, c := range map[string]cost{"publish": pub, "consume": con} {
		if c.client <= 0 || c.broker <= 0 || c.took <= 0 || c.peak.live == 0 || c.peak.goroutines == 0 || c.after.Heap == 0 {
			t.Errorf("%s: %+v", name, c)
		}
	}
}

func TestDeadLettersAreThoseOfTheGroupThatStarts(t *testing.T) {
	_, bus := rigFor(t, sweep{})
	if err := bury(bus.Transport(), 0, 20, func(i int) string { return string(rune('A' + i%4)) }, false); err != nil {
		t.Fatal(err)
	}
	if err := bury(bus.Transport(), 20, 30, func(int) string { return "settled" }, true); err != nil {
		t.Fatal(err)
	}
	open := map[string]int{}
	for d, err := range bus.DeadLetters(t.Context(), ampybus.Range{Pattern: lettersTopic}) {
		if err != nil {
			t.Fatal(err)
		}
		if d.Headers.DLQ.Group != parkGroup {
			t.Errorf("group %q", d.Headers.DLQ.Group)
		}
		open[d.Headers.PartitionKey]++
	}
	if len(open) != 4 || open["A"] != 5 {
		t.Errorf("open %v", open)
	}
}

func TestAServerEndsWithItsParentAndLeavesNothing(t *testing.T) {
	o := options{dir: t.TempDir()}
	r, err := o.newRig(t.Context(), sweep{})
	if err != nil {
		t.Fatal(err)
	}
	r.close()
	left, err := os.ReadDir(o.dir)
	if err != nil || len(left) != 0 {
		t.Errorf("%v, %v", left, err)
	}
	if _, err := r.broker(); err == nil || errors.Is(err, os.ErrNotExist) {
		t.Errorf("a server that ended answers: %v", err)
	}
}
