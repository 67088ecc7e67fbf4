package ampybus

import (
	"context"
	"fmt"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// A message that kills the process leaves no error behind. The broker knows
// how many owners of a lane vanished in a row without progress; after
// crashSuspected of them messages run one at a time, each marked before it
// runs, and a message that was marked when one more owner vanished becomes a
// dead letter without being run again.
const (
	crashSuspected = 2
	crashCondemned = 3
	// crashWatch is how many messages must finish before a suspicion ends.
	crashWatch = 256
)

// suspect takes a new lane's history in. The lock is held.
func (e *engine) suspect(l *lane, ev driver.Event) {
	if ev.Crashes < crashSuspected {
		return
	}
	l.suspect = true
	e.suspects.Add(1)
	if ev.Crashes >= crashCondemned {
		l.culprit = ev.Started // the position behind it
	}
	l.crashes = ev.Crashes
}

// trust ends the suspicion of a lane. The lock is held.
func (e *engine) trust(l *lane) {
	if l.suspect {
		l.suspect = false
		e.suspects.Add(-1)
		e.cond.Broadcast()
	}
}

// condemned reports why a message must not run any more.
func (l *lane) condemned(pos uint64) (reason string, yes bool) {
	if l.culprit != pos+1 {
		return "", false
	}
	return fmt.Sprintf("%s: the last %d owners of the lane died without progress, the last one on this message", ReasonCrashLoop, l.crashes), true
}

// mark notes the start of an attempt with the broker, while the lane or
// another one of this process is under suspicion.
func (e *engine) mark(ctx context.Context, l *lane, pos uint64) error {
	if e.suspects.Load() == 0 {
		return nil
	}
	if err := e.src.Mark(ctx, l.name, l.epoch, pos+1); err != nil {
		return fmt.Errorf("mark %s:%d as started: %w", l.name, pos, err)
	}
	return nil
}

// survived counts an attempt that the process outlived. The lock is held.
func (e *engine) survived(l *lane) {
	if !l.suspect {
		return
	}
	if l.survivals++; l.survivals >= crashWatch {
		e.trust(l)
	}
}
