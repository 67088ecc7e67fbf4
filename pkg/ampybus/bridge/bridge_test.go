package bridge

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/membinding"
)

func TestABridgeKeepsBytesHeadersKeysAndOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := membinding.New(membinding.Config{}), membinding.New(membinding.Config{})
		source := a.Transport()
		publish(t, source, orders("abc", 20)...)
		bare := driver.Record{Topic: "ampy.dev.bars.v1.XNAS.AAPL", Key: "only-on-kafka", Value: []byte("no headers at all")}
		publish(t, source, bare, driver.Record{Topic: "ampy.dev.bars.v1.XNAS.MSFT"})
		stats := once(t, a, b)
		want, got := held(t, source, everything), held(t, b.Transport(), everything)
		if stats.Forwarded != 62 || !stats.Whole() || stats.InFlight != 0 {
			t.Errorf("%+v", stats)
		}
		// A record without any key is ordered by its topic.
		want[len(want)-1].Key = want[len(want)-1].Topic
		sameRecords(t, want, got)
		originals := make(map[string]driver.Delivery)
		for _, d := range want {
			originals[d.Origin()] = d
		}
		for i := range got {
			h, _, _ := ampybus.DecodeHeaders(got[i].Headers)
			hops := ampybus.Hops(h.Bridge.Path)
			if len(hops) != 1 || hops[0].Broker != identity(t, a) {
				t.Fatalf("path %q", h.Bridge.Path)
			}
			o := originals[hops[0].Origin]
			if text(o.Record) != text(got[i].Record) || !h.Bridge.StoredAt.Equal(o.StoredAt) {
				t.Errorf("%s, %+v, was %s, stored at %s", text(got[i].Record), h.Bridge, text(o.Record), o.StoredAt)
			}
		}
		if again := once(t, a, b); again.Forwarded+again.Repeated != 0 {
			t.Errorf("a second run carried %+v", again)
		}
	})
}

func TestAKeyThatNoHeaderSaysComesBack(t *testing.T) {
	d := driver.Delivery{Record: driver.Record{Topic: "ampy.dev.bars.v1.XNAS.AAPL", Key: "k"}, Log: "A", Pos: 1}
	m := marksOf(&d)
	there := ends{"a", "b"}.carried(&d, &m)
	there.Key = "" // NATS keeps none
	back := driver.Delivery{Record: there, Log: "B", Pos: 7}
	m = marksOf(&back)
	if got := (ends{"b", "c"}).carried(&back, &m); got.Key != "k" || headerOf(got, ampybus.HeaderBridgePath) != "a/bars/A:1 b/bars/B:7" {
		t.Errorf("%+v", got)
	}
}

func TestTwoBridgesSendNothingRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := membinding.New(membinding.Config{DedupeWindow: time.Millisecond}), membinding.New(membinding.Config{DedupeWindow: time.Millisecond})
		publish(t, a.Transport(), orders("ab", 3)...)
		publish(t, b.Transport(), orders("cd", 3)...)
		for range 3 {
			once(t, a, b)
			time.Sleep(time.Second)
			once(t, b, a)
			time.Sleep(time.Second)
		}
		for _, side := range []*membinding.Broker{a, b} {
			if n := len(held(t, side.Transport(), everything)); n != 12 {
				t.Errorf("%d records, want 12", n)
			}
		}
	})
}

func TestAChainOfBridgesCarriesOnAndNotRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, c := membinding.New(membinding.Config{}), membinding.New(membinding.Config{}), membinding.New(membinding.Config{})
		publish(t, a.Transport(), orders("a", 2)...)
		stored := held(t, a.Transport(), everything)[0].StoredAt
		time.Sleep(time.Hour)
		once(t, a, b)
		once(t, b, c)
		got := held(t, c.Transport(), everything)
		if len(got) != 2 || len(ampybus.Hops(headerOf(got[0].Record, ampybus.HeaderBridgePath))) != 2 || headerOf(got[0].Record, ampybus.HeaderBridgeStoredAt) != stored.Format(time.RFC3339Nano) {
			t.Errorf("%+v", got)
		}
		if s := once(t, c, a, func(c *Config) { c.Group = "round" }); s.Returned != 2 || s.Forwarded != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestOneBrokerIsNoBridge(t *testing.T) {
	a := membinding.New(membinding.Config{})
	if _, err := tryOnce(a, a); !errors.Is(err, driver.ErrConfig) || !strings.Contains(err.Error(), "same broker") {
		t.Errorf("%v", err)
	}
	b := membinding.New(membinding.Config{})
	if _, err := tryOnce(a, b, func(c *Config) { c.FromName, c.ToName = "x", "x" }); !errors.Is(err, driver.ErrConfig) {
		t.Errorf("%v", err)
	}
	if _, err := tryOnce(a, b, func(c *Config) { c.FromName = "a/b" }); !errors.Is(err, driver.ErrConfig) {
		t.Errorf("%v", err)
	}
	for _, c := range []Config{{Group: "g"}, {Pattern: everything, Group: "a b"}, {Pattern: everything, Group: "g", Exclude: []string{"x"}}} {
		if _, err := New(c); ampybus.FieldErrors(err) == nil {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestWhatTheTargetRefusesStopsTheKeyOrIsPassed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := membinding.New(membinding.Config{}), membinding.New(membinding.Config{MaxRecordBytes: 2000})
		large := order("a", 1)
		large.Value = make([]byte, 4000)
		publish(t, a.Transport(), order("a", 0), large, order("a", 2), order("b", 0))
		var seen refusals
		var stop *RefusedError
		stats, err := tryOnce(a, b, func(c *Config) { c.OnRefused = seen.add })
		if !errors.As(err, &stop) || !errors.Is(err, driver.ErrTooLarge) || stats.Refused != 1 || len(seen.all) != 1 || stop.Origin != "ampy.dev.orders:2" {
			t.Fatalf("%v, %+v, %v", err, stats, seen.all)
		}
		for _, d := range held(t, b.Transport(), everything) {
			if strings.HasSuffix(string(d.Value), "a-2") {
				t.Error("a-2 overtook the refused a-1")
			}
		}
		if _, err := tryOnce(a, b); !errors.As(err, &stop) {
			t.Errorf("the second run passed it: %v", err)
		}
		stats, err = tryOnce(a, b, func(c *Config) { c.PassRefused, c.OnRefused = true, seen.add })
		if err != nil || stats.Refused != 1 || stats.Whole() || len(seen.all) != 2 {
			t.Errorf("%v, %+v", err, stats)
		}
		if n := len(held(t, b.Transport(), everything)); n != 3 {
			t.Errorf("%d records, want 3", n)
		}
	})
}

func TestATopicThatNoBusHasIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := membinding.New(membinding.Config{}), membinding.New(membinding.Config{})
		publish(t, a.Transport(), driver.Record{Topic: "ampy.dev.orders.v1", Key: "a"}, order("a", 1))
		var stop *RefusedError
		if _, err := tryOnce(a, b); !errors.As(err, &stop) || ampybus.FieldErrors(err) == nil {
			t.Errorf("%v", err)
		}
		if stats := once(t, a, b, func(c *Config) { c.PassRefused = true }); stats.Refused != 1 || stats.Forwarded != 1 {
			t.Errorf("%+v", stats)
		}
	})
}

func TestAPermissionIsNoFaultOfARecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := membinding.New(membinding.Config{}), membinding.New(membinding.Config{})
		publish(t, a.Transport(), order("a", 0))
		b.Refuse("ampy.dev.orders.>", driver.ErrPermission)
		if _, err := tryOnce(a, b, func(c *Config) { c.PassRefused = true }); !errors.Is(err, driver.ErrPermission) {
			t.Errorf("%v", err)
		}
	})
}

func TestATargetThatIsAwayIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := membinding.New(membinding.Config{}), membinding.New(membinding.Config{})
		source := a.Transport()
		publish(t, source, orders("abc", 100)...)
		back := b.Outage()
		go func() {
			time.Sleep(time.Hour)
			back()
		}()
		start := time.Now()
		stats := once(t, a, b)
		if time.Since(start) < time.Hour || stats.Forwarded != 300 {
			t.Errorf("%+v after %s", stats, time.Since(start))
		}
		sameRecords(t, held(t, source, everything), held(t, b.Transport(), everything))
	})
}

func TestABridgeThatEndsWhileTheTargetIsAwayLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := membinding.New(membinding.Config{}), membinding.New(membinding.Config{})
		source := a.Transport()
		publish(t, source, orders("abc", 10)...)
		back := b.Outage()
		br, err := New(Config{From: a.Transport(), To: b.Transport(), Pattern: everything, Group: "bridge"})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := br.Run(ctx); err != nil {
			t.Errorf("%v", err)
		}
		back()
		once(t, a, b)
		sameRecords(t, held(t, source, everything), held(t, b.Transport(), everything))
	})
}

func TestMaxEndsBehindSoMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := membinding.New(membinding.Config{}), membinding.New(membinding.Config{})
		source := a.Transport()
		publish(t, source, orders("ab", 10)...)
		for i := 1; i <= 3; i++ {
			if s := once(t, a, b, func(c *Config) { c.Once, c.Max = false, 5 }); s.Forwarded != 5 || len(held(t, b.Transport(), everything)) != 5*i {
				t.Errorf("%+v", s)
			}
		}
	})
}

func TestAGapInTheSourceIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := membinding.New(membinding.Config{}), membinding.New(membinding.Config{})
		publish(t, a.Transport(), orders("a", 4)...)
		once(t, a, b, func(c *Config) { c.Once, c.Max = false, 1 })
		if err := a.Truncate("ampy.dev.orders", 4); err != nil {
			t.Fatal(err)
		}
		if s := once(t, a, b); s.Gaps != 1 || s.Lost != 2 || s.Forwarded != 1 || s.Whole() {
			t.Errorf("%+v", s)
		}
	})
}

func TestRequestsForReplayStayWhereTheyWereMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := membinding.New(membinding.Config{}), membinding.New(membinding.Config{})
		publish(t, a.Transport(),
			driver.Record{Topic: "ampy.dev.control.v1.replay_requests", Key: "r"},
			driver.Record{Topic: "ampy.dev.control.v1.replay_status", Key: "r"})
		if s := once(t, a, b); s.Excluded != 1 || s.Forwarded != 1 {
			t.Errorf("%+v", s)
		}
		if s := once(t, a, b, func(c *Config) { c.Group, c.Exclude = "all", []string{} }); s.Excluded != 0 || s.Forwarded != 1 || s.Repeated != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// A dead letter, its redriven copy and the copy that dies again have one
// message_id; so have records of two lives of a log that was made again.
func TestRecordsOfOneMessageAreAllCarried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := membinding.New(membinding.Config{}), membinding.New(membinding.Config{})
		first := order("a", 0)
		again := first
		again.ID += ".redrive.1"
		publish(t, a.Transport(), first, again)
		if s := once(t, a, b); s.Forwarded != 2 || s.Repeated != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestALogThatIsMadeAgainIsCarriedAgain(t *testing.T) {
	d := driver.Delivery{Record: order("a", 0), Log: "L", Pos: 1, StoredAt: time.Unix(1, 0)}
	m := marksOf(&d)
	before := ends{"a", "b"}.carried(&d, &m).ID
	if again := (ends{"a", "b"}).carried(&d, &m).ID; again != before {
		t.Errorf("%q became %q for the same record", before, again)
	}
	d.StoredAt = time.Unix(2, 0)
	if after := (ends{"a", "b"}).carried(&d, &m).ID; after == before {
		t.Errorf("%q names two records", before)
	}
}

func TestAPreviewCountsAndChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := membinding.New(membinding.Config{}), membinding.New(membinding.Config{})
		publish(t, a.Transport(), append(orders("ab", 3), driver.Record{Topic: "ampy.dev.orders.v1"}, driver.Record{Topic: "ampy.dev.control.v1.replay_requests"})...)
		preview := func() Stats {
			br, err := New(Config{From: a.Transport(), To: b.Transport(), Pattern: everything, Group: "bridge"})
			if err != nil {
				t.Fatal(err)
			}
			s, err := br.Preview(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		if s := preview(); s.Forwarded != 6 || s.Refused != 1 || s.Excluded != 1 {
			t.Errorf("%+v", s)
		}
		if n := len(held(t, b.Transport(), everything)); n != 0 || len(a.Groups()) != 0 {
			t.Errorf("%d records on the target, groups %q on the source", n, a.Groups())
		}
		once(t, a, b, func(c *Config) { c.PassRefused = true })
		if s := preview(); s != (Stats{}) {
			t.Errorf("after it: %+v", s)
		}
	})
}

func TestBridgesWithoutAGroupShareNone(t *testing.T) {
	groups := make(map[string]bool)
	for _, to := range []string{"a", "b"} {
		for _, pattern := range []string{"ampy.dev.>", "ampy.prod.>"} {
			for _, exclude := range [][]string{nil, {}, {"ampy.dev.bars.v1.>"}} {
				c := Config{Pattern: pattern, Exclude: exclude}
				groups[c.groupFor(to)] = true
			}
		}
	}
	if len(groups) != 8 { // nil and nothing are written alike
		t.Errorf("%d groups: %v", len(groups), groups)
	}
}
