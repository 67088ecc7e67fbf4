package natsbinding

import (
	"context"
	"fmt"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/doctor"
)

const (
	// maxClockOffset is what audit rules allow between business clocks.
	maxClockOffset = 50 * time.Millisecond
	// clockSamples bounds how often a server that answers slowly is asked.
	clockSamples = 5
)

// clockReading is what one answer says about the server's clock.
type clockReading struct {
	known bool
	ahead time.Duration // of ours; negative: behind
	// doubt is half of how long the answer took: nobody can tell when in that
	// time the server looked at its clock.
	doubt time.Duration
}

func (t *Transport) readClock(ctx context.Context, streams []StreamState) clockReading {
	if len(streams) == 0 {
		return clockReading{}
	}
	return compareClocks(func() (time.Time, error) {
		info, err := t.streamInfo(ctx, streams[0].Name)
		if err != nil {
			return time.Time{}, err
		}
		return info.TimeStamp, nil
	})
}

// compareClocks asks until an answer comes quickly enough to judge by, and
// keeps the quickest.
func compareClocks(ask func() (time.Time, error)) (best clockReading) {
	for range clockSamples {
		before := time.Now()
		theirs, err := ask()
		if err != nil || theirs.IsZero() {
			return best
		}
		doubt := time.Since(before) / 2
		if !best.known || doubt < best.doubt {
			best = clockReading{known: true, ahead: theirs.Sub(before.Add(doubt)), doubt: doubt}
		}
		if best.doubt <= maxClockOffset/2 {
			break
		}
	}
	return best
}

func (e *examination) clockFact() doctor.Finding {
	f := doctor.Finding{Check: "clock", Title: "clocks agree", Verdict: doctor.Holds}
	c := e.clock
	switch {
	case !c.known:
		f.Verdict, f.Why = doctor.Unknown, "no stream to ask"
	case c.ahead.Abs() > maxClockOffset+c.doubt:
		f.Verdict, f.Why, f.Fix = doctor.Fails, fmt.Sprintf("the server's clock is %s ahead of this one's", c.ahead.Round(time.Millisecond)), "synchronise both (NTP)"
	default:
		f.Why = fmt.Sprintf("within %s", (c.ahead.Abs() + c.doubt).Round(time.Millisecond))
	}
	return f
}
