package natsbinding

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/AmpyFin/ampy-bus/internal/brokertest"
	"github.com/AmpyFin/ampy-bus/internal/deal"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// shared divides by the value, so that every record is a key of its own.
func shared(shares int) driver.GroupConfig {
	return driver.GroupConfig{
		Group: "g", Pattern: "ampy.dev.orders.>", Shares: shares, Lease: testLease,
		KeyOf: func(d *driver.Delivery) string { return string(d.Value) },
	}
}

// drains receives until the source ends, and returns the lanes it was given.
func drains(src driver.Source) (ended chan struct{}, lanes *[]string) {
	end, got := make(chan struct{}), new([]string)
	go func() {
		defer close(end)
		for ev := range src.Events() {
			switch ev.Kind {
			case driver.Assigned:
				*got = append(*got, ev.Lane)
			case driver.Draining:
				ev.Done()
			}
		}
	}()
	return end, got
}

// A member that was away while the group was divided anew must end: what it
// would do in the old lanes others do in the new ones.
func TestMemberOfAnOldDivisionEnds(t *testing.T) {
	b := startBroker(t, Config{})
	away, other := b.Connect(t), b.Connect(t)
	t.Cleanup(func() { _ = away.Close(t.Context()); _ = other.Close(t.Context()) })
	publishNumbers(t, other, testTopic, 0, 10)
	src, err := away.Open(t.Context(), shared(1))
	if err != nil {
		t.Fatal(err)
	}
	first := <-src.Events()
	ended, _ := drains(src)
	heal := b.Cut(t, away)

	m := join(t, other, shared(2))
	epochs := make(map[string]uint64)
	for n := 0; n < 10; {
		switch ev := m.next(); ev.Kind {
		case driver.Assigned:
			epochs[ev.Lane] = ev.Epoch
		case driver.Records:
			n += len(ev.Records)
		}
	}
	if len(epochs) != 2 || epochs["AMPY_DEV_ORDERS/1of2"] == 0 || epochs["AMPY_DEV_ORDERS/2of2"] == 0 {
		t.Errorf("the new division has lanes %v", epochs)
	}
	heal()
	select {
	case <-ended:
	case <-time.After(30 * time.Second):
		t.Fatal("a member of the old division lives on")
	}
	if err := src.Err(); !errors.Is(err, driver.ErrConfig) || !strings.Contains(err.Error(), "Shares") {
		t.Errorf("it ended with %v", err)
	}
	if err := src.Commit(t.Context(), first.Lane, first.Epoch, 5); !errors.Is(err, driver.ErrFenced) {
		t.Errorf("it committed with %v", err)
	}
}

// Whoever changes the number of shares may die at any step; the next member
// that asks for the same number goes on there.
func TestHalfDoneDivisionIsFinished(t *testing.T) {
	for _, step := range []string{"announced", "one lane closed", "all closed", "one opened"} {
		t.Run(step, func(t *testing.T) {
			s := brokertest.Start(t)
			tr := dial(t, Config{URL: s.URL()})
			publishNumbers(t, tr, testTopic, 0, 20)
			low := commitDifferently(t, tr)

			kv, err := tr.leases(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			r := &roster{t: tr, kv: kv, key: rosterKey("g"), group: "g", self: rosterMember{TTLms: 600}, shares: 3, seen: map[string]sighting{}}
			_, rev, err := r.read(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			e := rosterEntry{Shares: 3, Was: 2, Gen: 1}
			if _, conflict, err := tr.writeEntry(t.Context(), kv, r.key, e, rev); conflict || err != nil {
				t.Fatal(conflict, err)
			}
			lanes := []string{"AMPY_DEV_ORDERS/1of2", "AMPY_DEV_ORDERS/2of2"}
			for i, closed := range map[string]int{"one lane closed": 1, "all closed": 2, "one opened": 2} {
				if i == step {
					for _, lane := range lanes[:closed] {
						if _, err := r.closeLane(t.Context(), "AMPY_DEV_ORDERS", lane, 1); err != nil {
							t.Fatal(err)
						}
					}
				}
			}
			if step == "one opened" {
				info, err := tr.streamInfo(t.Context(), "AMPY_DEV_ORDERS")
				if err != nil {
					t.Fatal(err)
				}
				if err := r.openLane(t.Context(), "AMPY_DEV_ORDERS/1of3", stance{low, info.Created}, 1); err != nil {
					t.Fatal(err)
				}
			}

			if _, err := tr.Open(t.Context(), shared(2)); !errors.Is(err, driver.ErrConfig) {
				t.Errorf("a member of the old division: %v", err)
			}
			m := join(t, tr, shared(3))
			var got []uint64
			for len(got) < 21-int(low) {
				switch ev := m.next(); ev.Kind {
				case driver.Assigned:
					if ev.From != low {
						t.Errorf("lane %s begins at %d, want %d", ev.Lane, ev.From, low)
					}
				case driver.Records:
					for _, d := range ev.Records {
						got = append(got, d.Pos)
					}
				}
			}
			slices.Sort(got)
			if got[0] != low || got[len(got)-1] != 20 || len(slices.Compact(got)) != 21-int(low) {
				t.Errorf("positions %v, want %d to 20", got, low)
			}
		})
	}
}

// commitDifferently leaves a group of two shares with two positions, and
// returns the smaller one.
func commitDifferently(t *testing.T, tr driver.Transport) (low uint64) {
	t.Helper()
	m := join(t, tr, shared(2))
	commits := make(map[string]uint64)
	last := make(map[string]driver.Event)
	for n := 0; n < 20; {
		if ev := m.next(); ev.Kind == driver.Records {
			n += len(ev.Records)
			last[ev.Lane] = ev
			if commits[ev.Lane] == 0 {
				commits[ev.Lane] = ev.Records[0].Pos + 1
			}
		}
	}
	if len(last) != 2 {
		t.Fatalf("records on lanes %v", last)
	}
	for lane, ev := range last {
		if lane == "AMPY_DEV_ORDERS/2of2" {
			commits[lane] = 15
		}
		m.commits(ev, commits[lane])
	}
	m.close()
	return commits["AMPY_DEV_ORDERS/1of2"]
}

func TestSilentMembersLoseTheirPlaceAndLivingOnesKeepIt(t *testing.T) {
	now := time.Now()
	r := &roster{
		self: rosterMember{ID: "me", TTLms: 1000}, shares: 4, seen: make(map[string]sighting),
		lanes: func() []string { return []string{"L/1of4", "L/2of4", "L/3of4", "L/4of4"} },
	}
	e := rosterEntry{Shares: 4, Members: []rosterMember{{ID: "you", Beat: 7, TTLms: 1000}, {ID: "gone", Beat: 3, TTLms: 1000}}}
	r.observe(&e, now)
	joined, changed := r.revised(e, false, now)
	if !changed || !slices.Equal(joined.ids(), []string{"you", "gone", "me"}) || len(joined.Plan) != 4 {
		t.Fatalf("joined: %+v", joined)
	}
	e = joined
	e.Members = slices.Clone(e.Members)
	e.Members[0].Beat++
	r.observe(&e, now.Add(900*time.Millisecond))
	if next, changed := r.revised(e, false, now.Add(999*time.Millisecond)); changed {
		t.Errorf("changed with everybody in time: %+v", next)
	}
	later, changed := r.revised(e, false, now.Add(1000*time.Millisecond))
	if !changed || !slices.Equal(later.ids(), []string{"you", "me"}) || count(later.Plan, "me") != 2 || count(later.Plan, "you") != 2 {
		t.Errorf("after one was silent: %+v", later)
	}
	r.blind = true // after an outage nobody is to blame for silence
	r.observe(&e, now.Add(5*time.Second))
	if next, changed := r.revised(e, false, now.Add(5*time.Second)); changed {
		t.Errorf("changed after an outage: %+v", next)
	}
}

func count(p deal.Plan, member string) (n int) {
	for _, m := range p {
		if m == member {
			n++
		}
	}
	return n
}
