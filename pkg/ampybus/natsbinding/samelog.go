package natsbinding

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// lostEndAfter is how long a stream that ends before the group's position is
// given to catch up: a new leader can answer before it has applied all it has.
const lostEndAfter = 2 * time.Second

// clockSkew is how far the clocks of two servers, or that of one before and
// after it lost power, may differ.
const clockSkew = time.Minute

// confirm returns the entry's floor if the stream is still the one whose
// positions the group has. If it is not, the error is errLogChanged, and the
// position is where the group must go on.
//
// A stream that was made again begins at its beginning. One that lost its end,
// as with JetStream's default sync interval when power fails, gives the lost
// positions to new records. They were stored later than the newest record that
// the group finished: delivery begins there, and clockSkew before it, because
// another server may have stored them. What comes again is known to consumers.
func (l *lane) confirm(ctx context.Context, e leaseEntry, info *jetstream.StreamInfo) (uint64, error) {
	state := info.State
	if !e.Born.Equal(info.Created) {
		return max(state.FirstSeq, 1), errLogChanged
	}
	if e.Floor > state.LastSeq+1 {
		if l.doubted.IsZero() {
			l.doubted = time.Now()
		}
		if time.Since(l.doubted) < lostEndAfter {
			return 0, fmt.Errorf("the stream ends at %d, before the group's position %d; looking again", state.LastSeq, e.Floor)
		}
		return l.d.remakeBehind(ctx, e.At)
	}
	l.doubted = time.Time{}
	if e.Last < max(state.FirstSeq, 1) || e.Last > state.LastSeq {
		return l.confirmPassed(ctx, e, state.FirstSeq) // nothing left to compare with
	}
	at, err := l.s.t.storedAt(ctx, l.stream, e.Last)
	switch {
	case errors.Is(err, driver.ErrPermission):
		return e.Floor, nil
	case err != nil:
		return 0, err
	case at.IsZero() || at.Equal(e.At):
		return l.confirmPassed(ctx, e, state.FirstSeq)
	}
	return l.d.remakeBehind(ctx, e.At)
}

// confirmPassed returns the floor unless a record of the lane's topics lies
// where the group passed over nothing but others: the stream lost its end there,
// and has new records.
func (l *lane) confirmPassed(ctx context.Context, e leaseEntry, first uint64) (uint64, error) {
	if e.Passed == 0 || e.Passed >= e.Floor {
		return e.Floor, nil
	}
	for _, f := range l.d.filters {
		m, err := l.s.t.getMessage(ctx, l.stream, nextBySubject{max(e.Passed, first), f})
		switch {
		case errors.Is(err, driver.ErrPermission):
			return e.Floor, nil
		case err != nil:
			return 0, err
		case m.Seq > 0 && m.Seq < e.Floor:
			return e.Passed, errLogChanged
		}
	}
	return e.Floor, nil
}

// nextBySubject asks for the first record on a subject from a position on.
type nextBySubject struct {
	Seq     uint64 `json:"seq"`
	Subject string `json:"next_by_subj"`
}

// storedAt asks a stream's leader when the record at pos was stored; zero when
// there is none.
func (t *Transport) storedAt(ctx context.Context, stream string, pos uint64) (time.Time, error) {
	m, err := t.getMessage(ctx, stream, map[string]uint64{"seq": pos})
	return m.Time, err
}

// newestOn asks a stream's leader for its newest record on a subject; 0: none.
func (t *Transport) newestOn(ctx context.Context, stream, subject string) (pos uint64, err error) {
	m, err := t.getMessage(ctx, stream, map[string]string{"last_by_subj": subject})
	return m.Seq, err
}

// storedMessage is what we want to know of a message: not its payload.
type storedMessage struct {
	Seq  uint64    `json:"seq"`
	Time time.Time `json:"time"`
}

// getMessage asks the stream's leader. The client's own way may ask a replica,
// which can lag behind. A message that is not there is the zero one.
func (t *Transport) getMessage(ctx context.Context, stream string, query any) (storedMessage, error) {
	request, err := json.Marshal(query)
	if err != nil {
		return storedMessage{}, err
	}
	var answer struct {
		Message storedMessage `json:"message"`
		Error   *apiError     `json:"error"`
	}
	api := "$JS.API.STREAM.MSG.GET." + stream
	err = t.guard(ctx, api, func(ctx context.Context) error {
		m, err := t.nc.RequestWithContext(ctx, api, request)
		if err != nil {
			return err
		}
		return json.Unmarshal(m.Data, &answer)
	})
	op := "look into stream " + stream
	switch {
	case err != nil:
		return storedMessage{}, requestError(op, err)
	case answer.Error != nil && answer.Error.ErrCode == codeNoMessage:
		return storedMessage{}, nil
	case answer.Error != nil:
		return storedMessage{}, fmt.Errorf("%s: %w", op, answer.Error)
	}
	return answer.Message, nil
}
