package kafkabinding

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// A lane's position is moved over records that nobody wants, and over nothing
// that the member has, or is to have, and has not finished.
func TestOnlyWhatNobodyWantsIsPassedOver(t *testing.T) {
	record := step{rec: &kgo.Record{Offset: 5}}
	ready := []driver.Delivery{{Pos: 5}}
	gap := step{gapFrom: 4, gapTo: 6}
	for _, c := range []struct {
		name     string
		lane     *lane
		received bool
		low      uint64
		want     uint64
	}{
		{"nothing was wanted", &lane{}, false, 3, 10},
		{"a record waits to be decoded", &lane{ahead: backlog{steps: []step{record}}}, false, 3, 3},
		{"a record is being decoded", &lane{opening: true}, false, 3, 3},
		{"a record waits for the member", &lane{ready: ready}, false, 3, 3},
		{"the member has a record", &lane{ready: ready}, true, 3, 3},
		{"the member has a record, and finished what is below", &lane{ready: ready}, true, 5, 5},
		{"the member finished its record", &lane{ready: ready}, true, 6, 10},
		{"a gap waits for the member", &lane{ahead: backlog{steps: []step{gap}}}, false, 3, 3},
		{"the member was told of a gap", &lane{ahead: backlog{steps: []step{gap}}}, true, 3, 3},
		{"the member is behind the gap", &lane{ahead: backlog{steps: []step{gap}}}, true, 6, 10},
	} {
		l := c.lane
		l.committed, l.fetched = 3, 10
		if c.received {
			l.received(1)
		}
		if got := l.beyond(c.low); got != c.want {
			t.Errorf("%s: finished below %d, committed below %d, want %d", c.name, c.low, got, c.want)
		}
	}
}
