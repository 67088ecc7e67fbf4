package natsbinding

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// Transport is one connection to NATS. It implements driver.Transport and is
// safe for concurrent use.
type Transport struct {
	cfg  Config
	log  *slog.Logger
	nc   *nats.Conn
	js   jetstream.JetStream
	acks *ackTable
	logs *logTable
	out  outbox
	// pulls are the pullers that are open.
	pulls pullCount
	folds folds

	mu       sync.Mutex
	closed   bool
	guards   map[*guardedCall]struct{}
	children map[child]struct{} // open sources and readers

	unsettled sync.WaitGroup // Publish calls
}

// child is something opened on a transport that ends with it.
type child interface {
	shut(ctx context.Context) error
	// resync is told that the connection was interrupted: anything in flight
	// may be lost.
	resync()
}

// guardedCall is a request that a permission violation on its subject ends.
type guardedCall struct {
	subject string
	cancel  context.CancelCauseFunc
}

func newTransport(c Config) *Transport {
	t := &Transport{
		cfg: c, log: c.Logger,
		guards:   make(map[*guardedCall]struct{}),
		children: make(map[child]struct{}),
	}
	t.acks = newAckTable(c.AckTimeout)
	t.logs = newLogTable(t)
	return t
}

// Name is "nats".
func (t *Transport) Name() string { return "nats" }

// ownHeaders is room for what goes with a record beside its own bytes: the
// driver's headers, and four bytes of punctuation for each of up to 64 headers.
const ownHeaders = 1024

// Limits reports what the server's max_payload leaves for a record.
func (t *Transport) Limits() driver.Limits {
	return driver.Limits{MaxRecordBytes: max(0, int(t.nc.MaxPayload())-ownHeaders)}
}

func (t *Transport) tooLarge(r *driver.Record) bool {
	return recordSize(r) > t.Limits().MaxRecordBytes
}

// takes reports whether a record can be sent.
func (t *Transport) takes(r *driver.Record) bool {
	return !t.tooLarge(r) && checkNames(r.Headers) == nil && checkValues(r.Headers) == nil
}

// recordSize is what a record counts against limits: headers and value.
func recordSize(r *driver.Record) int {
	n := len(r.Value)
	for i := range r.Headers {
		n += len(r.Headers[i].Name) + len(r.Headers[i].Value)
	}
	return n
}

// Close ends what was opened on the transport, then the connection. Publishes
// still unsettled settle with driver.ErrUncertain.
func (t *Transport) Close(ctx context.Context) error {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return nil
	}
	t.closed = true
	open := t.children
	t.children = nil
	t.mu.Unlock()

	var wg sync.WaitGroup
	errs := make(chan error, len(open))
	for c := range open {
		wg.Go(func() { errs <- c.shut(ctx) })
	}
	wg.Wait()
	close(errs)
	err := error(nil)
	for e := range errs {
		err = errors.Join(err, e)
	}
	t.nc.Close()
	t.acks.close()
	return errors.Join(err, t.awaitSettled(ctx))
}

// awaitSettled waits for what others are settling at this moment, because of an
// answer that just came or a connection that just broke.
func (t *Transport) awaitSettled(ctx context.Context) error {
	done := make(chan struct{})
	go func() { t.unsettled.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("settle publishes: %w", ctx.Err())
	}
}

func (t *Transport) isClosed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.closed
}

// adopt ties c to the transport's life. It reports false on a closed one.
func (t *Transport) adopt(c child) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return false
	}
	t.children[c] = struct{}{}
	return true
}

func (t *Transport) release(c child) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.children, c)
}

// guard runs f, a request on subject, and ends it at once when the server
// refuses the subject or the connection breaks: the client itself would wait
// for its full timeout. After a broken connection the request may have been
// carried out.
func (t *Transport) guard(ctx context.Context, subject string, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	ctx, refuse := context.WithCancelCause(ctx)
	defer refuse(nil)
	g := &guardedCall{subject: subject, cancel: refuse}
	t.mu.Lock()
	t.guards[g] = struct{}{}
	t.mu.Unlock()
	err := f(ctx)
	t.mu.Lock()
	delete(t.guards, g)
	t.mu.Unlock()
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); errors.Is(cause, driver.ErrPermission) || errors.Is(cause, errInterrupted) {
		return cause
	}
	return err
}

var violation = regexp.MustCompile(`(?i)permissions violation for (publish|subscription) to "([^"]+)"`)

func (t *Transport) onAsyncError(_ *nats.Conn, _ *nats.Subscription, err error) {
	if !errors.Is(err, nats.ErrPermissionViolation) {
		if !t.isClosed() {
			t.log.Warn("nats: asynchronous error", "error", err)
		}
		return
	}
	m := violation.FindStringSubmatch(err.Error())
	if m == nil {
		t.log.Warn("nats: permission refused", "error", err)
		return
	}
	if strings.EqualFold(m[1], "subscription") {
		t.acks.deny(m[2])
		t.refuse(m[2], "subscribe to ")
		return
	}
	t.acks.refused(m[2])
	t.refuse(m[2], "publish to ")
}

func (t *Transport) refuse(subject, verb string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for g := range t.guards {
		if strings.HasPrefix(subject, g.subject) {
			g.cancel(fmt.Errorf("%w: %s%s", driver.ErrPermission, verb, subject))
		}
	}
}

func (t *Transport) onDisconnect(_ *nats.Conn, err error) {
	t.acks.failAll()
	t.mu.Lock()
	for g := range t.guards {
		g.cancel(fmt.Errorf("%w: %w", driver.ErrUnavailable, errInterrupted))
	}
	t.mu.Unlock()
	if !t.isClosed() {
		t.log.Warn("nats: disconnected", "server", t.nc.ConnectedServerName(), "error", err)
	}
}

func (t *Transport) onReconnect(nc *nats.Conn) {
	t.log.Info("nats: connected again", "server", nc.ConnectedServerName())
	t.mu.Lock()
	defer t.mu.Unlock()
	for c := range t.children {
		c.resync()
	}
}

// onClosed runs when the client gives up for good, which its options leave to
// Close alone; then it changes nothing.
func (t *Transport) onClosed(*nats.Conn) { t.acks.failAll() }
