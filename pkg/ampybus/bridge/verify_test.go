package bridge

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/membinding"
)

func verify(t tester, from, to *membinding.Broker, change ...func(*VerifyConfig)) *Report {
	t.Helper()
	c := VerifyConfig{From: from.Transport(), To: to.Transport(), Pattern: everything}
	for _, f := range change {
		f(&c)
	}
	ctx, cancel := timeout()
	defer cancel()
	r, err := Verify(ctx, c)
	if err != nil {
		t.Fatalf("verify: %v", err)
	}
	return r
}

// copies publishes what the bridge would, after change has had its way.
func copies(t *testing.T, a, b *membinding.Broker, change func([]driver.Record) []driver.Record) {
	t.Helper()
	source, e := a.Transport(), ends{identity(t, a), identity(t, b)}
	var recs []driver.Record
	for _, d := range held(t, source, everything) {
		m := marksOf(&d)
		recs = append(recs, e.carried(&d, &m))
	}
	publish(t, b.Transport(), change(recs)...)
}

func plain(rs []driver.Record) []driver.Record {
	for i := range rs {
		rs[i].Headers = slices.DeleteFunc(rs[i].Headers, func(h driver.Header) bool { return own(h.Name) })
	}
	return rs
}

func TestVerifyFindsEachKindOfDifference(t *testing.T) {
	withHeader := func(r driver.Record) driver.Record {
		r.Headers = append(slices.Clone(r.Headers), driver.Header{Name: "x-more", Value: "1"})
		return r
	}
	withPayload := func(r driver.Record) driver.Record {
		r.Value = append(slices.Clone(r.Value), 'x')
		return r
	}
	for name, c := range map[string]struct {
		change func([]driver.Record) []driver.Record
		want   map[Kind]uint64
		what   string
	}{
		"the same":         {change: func(r []driver.Record) []driver.Record { return r }},
		"keys interleaved": {change: func(r []driver.Record) []driver.Record { r[0], r[1] = r[1], r[0]; return r }},
		"missing":          {change: func(r []driver.Record) []driver.Record { return slices.Delete(r, 2, 3) }, want: map[Kind]uint64{Missing: 1}},
		"the last missing": {change: func(r []driver.Record) []driver.Record { return r[:len(r)-1] }, want: map[Kind]uint64{Missing: 1}},
		"extra":            {change: func(r []driver.Record) []driver.Record { return append(r, order("x", 1)) }, want: map[Kind]uint64{Extra: 1}},
		"payload":          {change: func(r []driver.Record) []driver.Record { r[3] = withPayload(r[3]); return r }, want: map[Kind]uint64{Changed: 1}, what: "payload"},
		"header":           {change: func(r []driver.Record) []driver.Record { r[3] = withHeader(r[3]); return r }, want: map[Kind]uint64{Changed: 1}, what: "headers or key"},
		"topic":            {change: func(r []driver.Record) []driver.Record { r[3].Topic = "ampy.dev.orders.v1.others"; return r }, want: map[Kind]uint64{Changed: 1}, what: "topic"},
		"reordered":        {change: func(r []driver.Record) []driver.Record { r[0], r[3] = r[3], r[0]; return r }, want: map[Kind]uint64{Reordered: 1}},
	} {
		for _, marked := range []bool{true, false} {
			if c.what == "topic" && !marked {
				continue // without the bridge's mark it is another record
			}
			t.Run(fmt.Sprintf("%s/marked=%t", name, marked), func(t *testing.T) {
				a, b := membinding.New(membinding.Config{}), membinding.New(membinding.Config{})
				publish(t, a.Transport(), orders("abc", 4)...)
				copies(t, a, b, func(r []driver.Record) []driver.Record {
					if r = c.change(r); !marked {
						r = plain(r)
					}
					return r
				})
				r := verify(t, a, b)
				if len(r.Count) != len(c.want) || r.Equal() != (c.want == nil) {
					t.Fatalf("%s: %+v", r, r.Examples)
				}
				for kind, n := range c.want {
					if r.Count[kind] != n || len(r.Examples) != int(n) || r.Examples[0].Kind != kind || r.Examples[0].What != c.what || r.Examples[0].Topic == "" || r.Examples[0].MessageID == "" {
						t.Errorf("%s: %+v", r, r.Examples)
					}
				}
			})
		}
	}
}

func TestVerifyCallsARepeatNoDifference(t *testing.T) {
	a, b := membinding.New(membinding.Config{}), membinding.New(membinding.Config{DedupeWindow: time.Nanosecond})
	publish(t, a.Transport(), orders("ab", 3)...)
	copies(t, a, b, func(r []driver.Record) []driver.Record { return append(r, r...) })
	if r := verify(t, a, b); !r.Equal() || r.Repeated != 6 || r.Same != 6 {
		t.Errorf("%+v", r)
	}
}

// A window is one of the time at which the source stored, on both sides.
func TestVerifyComparesAWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := membinding.New(membinding.Config{}), membinding.New(membinding.Config{})
		source := a.Transport()
		publish(t, source, orders("a", 3)...)
		time.Sleep(time.Hour)
		start := time.Now()
		publish(t, source, orders("b", 4)...)
		time.Sleep(time.Hour)
		end := time.Now()
		publish(t, source, orders("c", 5)...)
		time.Sleep(24 * time.Hour)
		copies(t, a, b, func(r []driver.Record) []driver.Record { return r[2:11] })
		if r := verify(t, a, b); r.Count[Missing] != 3 {
			t.Errorf("whole: %+v", r)
		}
		r := verify(t, a, b, func(c *VerifyConfig) { c.Start, c.End = start, end })
		if !r.Equal() || r.From != 4 || r.To != 4 || r.Same != 4 {
			t.Errorf("window: %+v", r)
		}
	})
}

// While producers write to both sides, Carried compares what the bridge brings.
func TestVerifyOfWhatWasCarriedLeavesTheTargetsOwnOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := membinding.New(membinding.Config{}), membinding.New(membinding.Config{})
		publish(t, a.Transport(), orders("ab", 3)...)
		publish(t, b.Transport(), orders("cd", 2)...)
		once(t, a, b)
		again := held(t, b.Transport(), everything)[4].Record
		again.ID, again.Headers = "redriven", append(slices.Clone(again.Headers), driver.Header{Name: ampybus.HeaderRetryCount, Value: "1"})
		publish(t, b.Transport(), again)
		carried := func(c *VerifyConfig) { c.Carried = true }
		if r := verify(t, a, b, carried); !r.Equal() || r.Same != 6 || r.Own != 5 {
			t.Errorf("%+v", r)
		}
		if r := verify(t, a, b); r.Count[Extra] != 5 {
			t.Errorf("%+v", r)
		}
		once(t, b, a)
		if r := verify(t, b, a, carried); !r.Equal() || r.Same != 4 {
			t.Errorf("the other way: %+v", r)
		}
	})
}

func TestVerifyKnowsWhatTheSourceNoLongerHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := membinding.New(membinding.Config{}), membinding.New(membinding.Config{})
		publish(t, a.Transport(), orders("a", 6)...)
		once(t, a, b)
		if err := a.Truncate("ampy.dev.orders", 4); err != nil {
			t.Fatal(err)
		}
		if r := verify(t, a, b); !r.Equal() || r.Gone != 3 || r.Same != 3 {
			t.Errorf("%+v", r)
		}
	})
}

func TestVerifyAfterAnyStoryFindsNothing(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := membinding.New(membinding.Config{}), membinding.New(membinding.Config{DedupeWindow: time.Second})
				tell(t, rand.New(rand.NewPCG(seed, 9)), a, b)
				once(t, a, b)
				if r := verify(t, a, b); !r.Equal() {
					t.Errorf("%s: %+v", r, r.Examples)
				}
			})
		})
	}
}
