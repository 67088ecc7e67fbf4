package keyed_test

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	seeds = flag.Int("seeds", defaultSeeds, "worlds that TestSimulation runs")
	first = flag.Uint64("first", 1, "seed of the first world")
)

const (
	chaosSteps = 8000
	// liveSteps per record is the time in which a group without faults must finish.
	liveSteps = 50
)

// run plays a world through its faults and then lets it finish.
func (w *world) run() (err error) {
	defer func() {
		if p := recover(); p != nil { // so that the seed gets printed
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	for i := range w.lanes {
		w.assign(i, w.anyMember())
	}
	for ; w.count[steps] < chaosSteps && w.err == nil; w.count[steps]++ {
		w.advance()
		switch {
		case w.chance(w.faultRate):
			w.disturb()
		case w.chance(30):
			w.publish()
		case w.chance(8):
			w.deliverCommit()
		default:
			w.act(w.members[w.rnd.IntN(len(w.members))])
		}
	}
	w.settle()
	return w.err
}

func (w *world) advance() {
	if w.chance(4) {
		w.now = w.now.Add(time.Duration(w.rnd.IntN(20)) * time.Millisecond)
	}
}

// settle is the liveness phase: no faults, and an end within bounds.
func (w *world) settle() {
	w.faults = false
	for i, l := range w.lanes {
		w.count[committedEarly] += l.checked
		l.visible = len(l.log)
		if !l.owned() {
			w.assign(i, w.anyMember())
		}
	}
	limit := liveSteps * w.size
	for n := 0; w.err == nil && !w.quiet(); n++ {
		if n > limit {
			w.fail("not finished after %d steps without faults", limit)
		}
		w.progress(n)
	}
	if w.err == nil {
		w.checkEnd()
	}
}

// progress does one thing that can be done, or else lets time pass until one can.
func (w *world) progress(n int) {
	if w.deliverCommit() {
		return
	}
	for i := range w.members {
		if w.members[(n+i)%len(w.members)].progress() {
			return
		}
	}
	for _, m := range w.members {
		if !m.alive {
			continue
		}
		if at, ok := m.core.Wake(); ok && at.After(w.now) {
			w.now = at
			return
		}
	}
}

// progress does the first thing that the member can do.
func (m *member) progress() bool {
	switch {
	case !m.alive:
		m.start()
	case len(m.control) > 0:
		m.receiveControl()
	case len(m.tasks) > 0:
		m.step(0)
	case m.next():
	default:
		for li := range m.w.lanes {
			if m.receiveData(li) || m.sendCommit(li) || m.pull(li) {
				return true
			}
		}
		return false
	}
	return true
}

// quiet says that nothing is left to do anywhere.
func (w *world) quiet() bool {
	if len(w.network) > 0 || !w.finished() {
		return false
	}
	for _, m := range w.members {
		if len(m.control) > 0 || len(m.tasks) > 0 {
			return false
		}
		for li := range m.data {
			if len(m.data[li]) > 0 {
				return false
			}
		}
	}
	return true
}

func TestSimulation(t *testing.T) {
	if s := os.Getenv("SEED"); s != "" {
		seed, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatalf("read SEED: %v", err)
		}
		if err := newWorld(seed, t.Logf).run(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		return
	}
	total := simulate(t, *first, *seeds)
	t.Log(total)
	demandFaults(t, total, *seeds)
}

func TestSimulationFollowsFromItsSeed(t *testing.T) {
	for seed := uint64(1); seed <= 20; seed++ {
		var runs [2]strings.Builder
		for i := range runs {
			w := newWorld(seed, func(format string, args ...any) { fmt.Fprintf(&runs[i], format+"\n", args...) })
			if err := w.run(); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
		if runs[0].String() != runs[1].String() {
			t.Fatalf("seed %d: two runs differ", seed)
		}
	}
}

// simulate runs n worlds on all processors and adds up what they met.
func simulate(t *testing.T, first uint64, n int) counts {
	var (
		mu    sync.Mutex
		total counts
		wg    sync.WaitGroup
	)
	shards := runtime.GOMAXPROCS(0)
	for shard := range shards {
		wg.Go(func() {
			var sum counts
			for i := shard; i < n && !t.Failed(); i += shards {
				w := newWorld(first+uint64(i), nil)
				if err := w.run(); err != nil {
					t.Errorf("seed %d: %v\nreplay: SEED=%d go test ./internal/keyed -run Simulation -v", first+uint64(i), err, first+uint64(i))
				}
				sum.add(w.count)
			}
			mu.Lock()
			defer mu.Unlock()
			total.add(sum)
		})
	}
	wg.Wait()
	return total
}
