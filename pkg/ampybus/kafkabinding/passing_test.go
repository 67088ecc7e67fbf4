package kafkabinding

import (
	"testing"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// A lane's position is moved over records that nobody wants, and over nothing
// that the member has, or is to have, and has not finished.
func TestOnlyWhatNobodyWantsIsPassedOver(t *testing.T) {
	record := step{Delivery: driver.Delivery{Pos: 5}}
	gap := step{gapFrom: 4, gapTo: 6}
	for _, c := range []struct {
		name     string
		ahead    []step
		received bool
		low      uint64
		want     uint64
	}{
		{"nothing was wanted", nil, false, 3, 10},
		{"a record waits for the member", []step{record}, false, 3, 3},
		{"the member has a record", []step{record}, true, 3, 3},
		{"the member has a record, and finished what is below", []step{record}, true, 5, 5},
		{"the member finished its record", []step{record}, true, 6, 10},
		{"a gap waits for the member", []step{gap}, false, 3, 3},
		{"the member was told of a gap", []step{gap}, true, 3, 3},
		{"the member is behind the gap", []step{gap}, true, 6, 10},
	} {
		l := &lane{committed: 3, fetched: 10, ahead: c.ahead}
		if c.received {
			l.received(len(c.ahead))
		}
		if got := l.beyond(c.low); got != c.want {
			t.Errorf("%s: finished below %d, committed below %d, want %d", c.name, c.low, got, c.want)
		}
	}
}
