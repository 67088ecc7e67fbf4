package ampybus

import (
	"sync"
	"testing"
	"time"
)

func TestIDsRiseStrictly(t *testing.T) {
	last := ""
	for range 100_000 {
		id := NewID()
		if id <= last {
			t.Fatalf("%s after %s", id, last)
		}
		last = id
	}
}

func TestIDsRiseWhenTheClockStepsBack(t *testing.T) {
	var clock tickClock
	now := time.Date(2025, 9, 5, 19, 31, 1, 0, time.UTC)
	last := ""
	jumps := []time.Duration{0, time.Millisecond, -time.Hour, -time.Hour, time.Second, -time.Second, time.Hour, -24 * time.Hour, 48 * time.Hour}
	for i := range 10_000 {
		step := 10 * time.Microsecond
		if i%100 == 0 {
			step = jumps[i/100%len(jumps)]
		}
		now = now.Add(step)
		id := formatID(clock.next(now), 0)
		if id <= last {
			t.Fatalf("after a step of %v: %s after %s", step, id, last)
		}
		last = id
	}
}

func TestIDsOfManyGoroutinesAreUniqueAndRisePerGoroutine(t *testing.T) {
	const each, goroutines = 5_000, 8
	made := make([][]string, goroutines)
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for range each {
				made[g] = append(made[g], NewID())
			}
		})
	}
	wg.Wait()
	seen := make(map[string]bool)
	for _, ids := range made {
		for i, id := range ids {
			if i > 0 && id <= ids[i-1] || seen[id] {
				t.Fatalf("%s is not new or not rising", id)
			}
			seen[id] = true
		}
	}
}

func TestIDHoldsItsTimeAndVersion(t *testing.T) {
	at := time.Date(2025, 9, 5, 19, 31, 1, 123_500_000, time.UTC)
	var clock tickClock
	text := formatID(clock.next(at), ^uint64(0))
	id, err := ParseID(text)
	if err != nil || id.Version() != 7 || id.String() != text {
		t.Fatal(text, err)
	}
	ms := int64(id[0])<<40 | int64(id[1])<<32 | int64(id[2])<<24 | int64(id[3])<<16 | int64(id[4])<<8 | int64(id[5])
	if ms != at.UnixMilli() {
		t.Errorf("%s holds %v", text, time.UnixMilli(ms).UTC())
	}
	if id[8]>>6 != 2 {
		t.Errorf("%s has another variant", text)
	}
}

func TestParseIDReadsBothCasesAndVersions(t *testing.T) {
	for text, version := range map[string]int{
		"018f5e2f-9b1c-76aa-8f7a-3b1d8f3ea0c2": 7,
		"018F5E2F-9B1C-76AA-8F7A-3B1D8F3EA0C2": 7,
		"3f2504e0-4f89-41d3-9a0c-0305e82c3301": 4,
	} {
		if id, err := ParseID(text); err != nil || id.Version() != version {
			t.Errorf("%s: version %d, %v", text, id.Version(), err)
		}
	}
	lower, _ := ParseID("018f5e2f-9b1c-76aa-8f7a-3b1d8f3ea0c2")
	upper, _ := ParseID("018F5E2F-9B1C-76AA-8F7A-3B1D8F3EA0C2")
	if lower != upper {
		t.Error("case makes another id")
	}
}

func TestNewIDAllocatesOnce(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() { _ = NewID() }); n > 1 {
		t.Errorf("%v allocations", n)
	}
}
