package natsbinding

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/doctor"
)

// How long an answer takes is no fault of the clock that it tells: on a busy
// machine the doctor must not send anybody to look for NTP.
func TestASlowAnswerIsNoWrongClock(t *testing.T) {
	const slow = 600 * time.Millisecond
	for name, c := range map[string]struct {
		ahead time.Duration
		takes []time.Duration // of each answer; the last one of all further
		want  doctor.Verdict
	}{
		"prompt":                        {takes: []time.Duration{time.Millisecond}, want: doctor.Holds},
		"slow":                          {takes: []time.Duration{slow}, want: doctor.Holds},
		"wrong":                         {ahead: time.Second, takes: []time.Duration{time.Millisecond}, want: doctor.Fails},
		"behind":                        {ahead: -time.Second, takes: []time.Duration{time.Millisecond}, want: doctor.Fails},
		"wrong, and slow":               {ahead: 2 * time.Second, takes: []time.Duration{slow}, want: doctor.Fails},
		"wrong, and slow at first only": {ahead: slow / 4, takes: []time.Duration{slow, time.Millisecond}, want: doctor.Fails},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				asked := 0
				got := compareClocks(func() (time.Time, error) {
					theirs := time.Now().Add(c.ahead)
					pause(t.Context(), c.takes[min(asked, len(c.takes)-1)])
					asked++
					return theirs, nil
				})
				e := &examination{clock: got}
				if f := e.clockFact(); f.Verdict != c.want {
					t.Errorf("%+v", f)
				}
			})
		})
	}
}
