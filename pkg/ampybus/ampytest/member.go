package ampytest

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/membinding"
)

var (
	errInjected = errors.New("injected failure")
	errKilled   = errors.New("the process was killed")
	errPoison   = errors.New("poison")
)

// member is one process of the service, started again whenever it ends.
type member struct {
	trial *Trial
	name  string
	dice  *rand.Rand // guarded by mu

	mu   sync.Mutex
	life *life // nil while it is down
}

// life is one process from its start to its end.
type life struct {
	m       *member
	client  *membinding.Transport
	handler ampybus.Handler
	stop    context.CancelFunc

	mu     sync.Mutex
	dead   bool
	ending bool // stopped in an orderly way
	odd    bool // was killed, cut off or frozen: its end may be an error
	frozen chan struct{}
}

// live starts the process again and again until the trial ends.
func (m *member) live() {
	for m.trial.ctx.Err() == nil {
		m.once()
		m.trial.wait(m.trial.ctx, m.pause())
	}
}

// pause is how long the process stays down.
func (m *member) pause() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return time.Duration(m.dice.Int64N(2 * int64(m.trial.Consumer.Lease)))
}

// latency is how long an attempt takes, so that keys overtake each other.
func (m *member) latency() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return time.Duration(m.dice.Int64N(int64(200 * time.Millisecond)))
}

// once is one life.
func (m *member) once() {
	t := m.trial
	ctx, stop := context.WithCancel(t.ctx)
	defer stop()
	l := &life{m: m, client: t.broker.Transport(), stop: stop}
	bus := ampybus.New(t.History.Transport(m.name, l.client), ampybus.Options{})
	l.handler = t.start(bus)
	m.set(l)
	err := bus.Consume(ctx, t.Consumer, l.handle)
	m.set(nil)
	l.thaw()
	if err != nil && !l.excused(err) {
		t.t.Errorf("%s: Consume: %v", m.name, err)
	}
	if err := bus.Close(); err != nil && !l.excused(err) {
		t.t.Errorf("%s: Close: %v", m.name, err)
	}
}

func (m *member) set(l *life) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.life = l
}

// current is the running life, nil while the process is down.
func (m *member) current() *life {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.life
}

// excused tells whether an error follows from what was done to the process.
func (l *life) excused(err error) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.odd || errors.Is(err, ampybus.ErrUnreachable) || errors.Is(err, ampybus.ErrUnavailable)
}

// handle is one attempt, with the troubles that the plan has for it.
func (l *life) handle(ctx context.Context, m *ampybus.Message) error {
	t := l.m.trial
	t.wait(ctx, l.m.latency())
	trouble := t.trouble(m)
	if trouble == Freeze && l.freeze() {
		ctx = context.WithoutCancel(ctx) // it has not noticed that time passed
	}
	if l.paused() {
		ctx = context.WithoutCancel(ctx)
	}
	if l.isDead() {
		return errKilled
	}
	if trouble == Failure {
		t.count(Failure)
		return errInjected
	}
	if t.refuses(m) {
		return ampybus.Permanent(errPoison)
	}
	if err := l.handler(ctx, m); err != nil {
		return err
	}
	switch trouble {
	case LostResult:
		t.count(LostResult)
		return errInjected
	case Crash:
		if l.kill() {
			return errKilled
		}
	}
	return nil
}

// kill ends the process at once; false when it is down already.
func (l *life) kill() bool {
	l.mu.Lock()
	if l.dead || l.ending || l.frozen != nil {
		l.mu.Unlock()
		return false
	}
	l.dead, l.odd = true, true
	l.mu.Unlock()
	l.m.trial.count(Crash)
	l.client.Crash()
	return true
}

// end stops the process in an orderly way.
func (l *life) end() {
	l.mu.Lock()
	if l.dead || l.ending || l.frozen != nil {
		l.mu.Unlock()
		return
	}
	l.ending = true
	l.mu.Unlock()
	l.m.trial.count(Stop)
	l.stop()
}

// cut severs the process from the broker for d.
func (l *life) cut(d time.Duration) {
	l.mu.Lock()
	if l.dead || l.ending || l.frozen != nil {
		l.mu.Unlock()
		return
	}
	l.odd = true
	l.mu.Unlock()
	l.m.trial.count(Cut)
	heal := l.client.Cut()
	defer heal()
	l.m.trial.wait(l.m.trial.ctx, d)
}

// freeze stands still for two leases, in the middle of an attempt.
func (l *life) freeze() bool {
	l.mu.Lock()
	if l.dead || l.ending || l.frozen != nil {
		l.mu.Unlock()
		return false
	}
	l.odd = true
	l.frozen = make(chan struct{})
	l.mu.Unlock()
	t := l.m.trial
	t.count(Freeze)
	heal := l.client.Cut()
	t.wait(t.ctx, 2*t.Consumer.Lease)
	l.thaw()
	heal()
	return true
}

func (l *life) thaw() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.frozen != nil {
		close(l.frozen)
		l.frozen = nil
	}
}

// paused waits while the process is frozen, and tells whether it was.
func (l *life) paused() bool {
	l.mu.Lock()
	frozen := l.frozen
	l.mu.Unlock()
	if frozen == nil {
		return false
	}
	<-frozen
	return true
}

func (l *life) isDead() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dead
}
