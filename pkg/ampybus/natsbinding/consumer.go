package natsbinding

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/AmpyFin/ampy-bus/internal/mutant"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// redeliverAfter keeps the server's redelivery timer out of the way: a change
// of owner, and nothing else, has records delivered again, because a timer
// would do so out of order.
const redeliverAfter = 24 * time.Hour

// durable is a group's consumer for one lane.
type durable struct {
	t        *Transport
	stream   string
	group    string
	name     string // durableName
	filters  []string
	start    time.Time
	startNew bool
}

// config of a new durable. How much may be delivered and not acknowledged is
// each member's own choice, kept by what it asks for: MaxAckPending would hold
// the next member to the choice of the first.
func (d *durable) config() jetstream.ConsumerConfig {
	c := jetstream.ConsumerConfig{
		Durable: d.name, Name: d.name, Metadata: madeBy,
		AckPolicy: jetstream.AckAllPolicy, AckWait: redeliverAfter,
		MaxDeliver: -1, MaxAckPending: -1,
		DeliverPolicy: jetstream.DeliverAllPolicy,
	}
	if len(d.filters) == 1 {
		c.FilterSubject = d.filters[0]
	} else {
		c.FilterSubjects = d.filters
	}
	return c
}

// ensure finds or makes the durable. A new one begins where the group's
// configuration says; last is the newest position of the stream.
func (d *durable) ensure(ctx context.Context, last uint64) (*jetstream.ConsumerInfo, error) {
	info, err := d.info(ctx)
	if !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return info, err
	}
	c := d.config()
	switch {
	case d.startNew:
		// By position: a reset must be able to come back to it.
		c.DeliverPolicy, c.OptStartSeq = jetstream.DeliverByStartSequencePolicy, last+1
	case !d.start.IsZero():
		c.DeliverPolicy, c.OptStartTime = jetstream.DeliverByStartTimePolicy, &d.start
	}
	info, err = d.create(ctx, c)
	if errors.Is(err, jetstream.ErrConsumerExists) || errors.Is(err, jetstream.ErrConsumerNameAlreadyInUse) {
		return d.info(ctx) // another member was faster
	}
	return info, err
}

func (d *durable) info(ctx context.Context) (*jetstream.ConsumerInfo, error) {
	info, err := d.t.consumerInfo(ctx, d.stream, d.name)
	if err != nil {
		return nil, requestError("read durable "+d.name+" of "+d.stream, err)
	}
	return info, d.fits(info)
}

// durableName is the group's own where logs are not divided. No group's name
// holds '='.
func durableName(group string, share, shares int) string {
	if shares <= 1 {
		return group
	}
	return fmt.Sprintf("%s=%dof%d", group, share+1, shares)
}

func (t *Transport) consumerInfo(ctx context.Context, stream, name string) (info *jetstream.ConsumerInfo, err error) {
	err = t.guard(ctx, "$JS.API.CONSUMER.INFO."+stream, func(ctx context.Context) error {
		c, err := t.js.Consumer(ctx, stream, name)
		if err == nil {
			info = c.CachedInfo()
		}
		return err
	})
	return info, err
}

// deleteDurable removes the durable of a lane that has ended. Its position
// stays in the lease bucket, so a failure leaves nothing but an idle durable.
func (t *Transport) deleteDurable(ctx context.Context, stream, name string) {
	err := t.guard(ctx, "$JS.API.CONSUMER.DELETE."+stream, func(ctx context.Context) error {
		return t.js.DeleteConsumer(ctx, stream, name)
	})
	if err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		t.log.Info("nats: durable of an old share not deleted", "stream", stream, "durable", name, "error", err)
	}
}

// fits refuses a durable of the group's name that is not ours to use.
func (d *durable) fits(info *jetstream.ConsumerInfo) error {
	c := info.Config
	has := c.FilterSubjects
	if c.FilterSubject != "" {
		has = []string{c.FilterSubject}
	}
	same := len(has) == len(d.filters)
	for i := range has {
		same = same && has[i] == d.filters[i]
	}
	switch {
	case c.DeliverSubject != "" || c.AckPolicy != jetstream.AckAllPolicy:
		return fmt.Errorf("open group %s: %w: Group: stream %s has a durable of that name which another program made (%s acknowledgements, floor %d): choose another group, or delete it",
			d.group, driver.ErrConfig, d.stream, c.AckPolicy, info.AckFloor.Stream)
	case !same:
		return fmt.Errorf("open group %s: %w: Pattern: the group reads %s of stream %s so far, and is asked for %s: a group has one pattern; choose another group",
			d.group, driver.ErrConfig, strings.Join(has, ", "), d.stream, strings.Join(d.filters, ", "))
	}
	return nil
}

func (d *durable) create(ctx context.Context, c jetstream.ConsumerConfig) (*jetstream.ConsumerInfo, error) {
	var info *jetstream.ConsumerInfo
	err := d.t.guard(ctx, "$JS.API.CONSUMER.", func(ctx context.Context) error {
		made, err := d.t.js.CreateConsumer(ctx, d.stream, c)
		if err == nil {
			info = made.CachedInfo()
		}
		return err
	})
	return info, requestError("make durable "+d.name+" of "+d.stream, err)
}

// rewind makes delivery begin again at position floor, in order. It needs the
// lease: nobody else may use the durable meanwhile.
//
// Server 2.14 and later reset the consumer in place. For older ones it is
// deleted and made again; a crash in between loses nothing, because the
// position is in the lease entry.
func (d *durable) rewind(ctx context.Context, floor uint64) error {
	if mutant.On("no-reset-on-takeover") {
		return nil
	}
	_, err := d.info(ctx)
	switch {
	case errors.Is(err, jetstream.ErrConsumerNotFound):
		return d.makeAt(ctx, floor)
	case err != nil:
		return err
	case d.t.cfg.noReset || !d.t.atLeast(2, 14):
		return d.remake(ctx, floor)
	}
	err = d.t.guard(ctx, "$JS.API.CONSUMER.RESET."+d.stream, func(ctx context.Context) error {
		_, err := d.t.js.ResetConsumerToSequence(ctx, d.stream, d.name, floor)
		return err
	})
	if err == nil {
		return nil
	}
	err = requestError("reset durable "+d.name+" of "+d.stream, err)
	if ctx.Err() != nil || errors.Is(err, errInterrupted) || errors.Is(err, driver.ErrPermission) {
		return err
	}
	// It began behind floor, on a stream that was another one; or nobody
	// answers, as when an older server of a mixed cluster leads the consumer.
	return d.remake(ctx, floor)
}

func (d *durable) remake(ctx context.Context, floor uint64) error {
	if err := d.remove(ctx); err != nil {
		return err
	}
	return d.makeAt(ctx, floor)
}

// floorOf is the position at which a durable would begin for a new owner. A
// durable that nobody has used tells it as what it has delivered; servers before
// 2.14 leave its acknowledgement floor at zero.
func floorOf(info *jetstream.ConsumerInfo) uint64 {
	switch {
	case info.AckFloor.Stream > 0:
		return info.AckFloor.Stream + 1
	case info.Delivered.Consumer == 0:
		return info.Delivered.Stream + 1
	}
	return max(info.Config.OptStartSeq, 1)
}

// remakeBehind makes the durable again behind everything that was surely stored
// until at, or at the beginning where that is not known. It returns the position
// where that is, with errLogChanged.
func (d *durable) remakeBehind(ctx context.Context, at time.Time) (floor uint64, err error) {
	if err := d.remove(ctx); err != nil {
		return 0, err
	}
	c := d.config()
	if !at.IsZero() {
		from := at.Add(-clockSkew)
		c.DeliverPolicy, c.OptStartTime = jetstream.DeliverByStartTimePolicy, &from
	}
	info, err := d.create(ctx, c)
	if err != nil {
		return 0, err
	}
	return floorOf(info), errLogChanged
}

func (d *durable) remove(ctx context.Context) error {
	err := d.t.guard(ctx, "$JS.API.CONSUMER.DELETE."+d.stream, func(ctx context.Context) error {
		return d.t.js.DeleteConsumer(ctx, d.stream, d.name)
	})
	if err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return requestError("delete durable "+d.name+" of "+d.stream, err)
	}
	return nil
}

func (d *durable) makeAt(ctx context.Context, floor uint64) error {
	c := d.config()
	c.DeliverPolicy, c.OptStartSeq = jetstream.DeliverByStartSequencePolicy, floor
	_, err := d.create(ctx, c)
	return err
}

// ack acknowledges everything up to the record with these sequences and waits
// for the server's word.
func (t *Transport) ack(ctx context.Context, prefix string, pos, seq uint64) error {
	err := t.guard(ctx, prefix, func(ctx context.Context) error {
		_, err := t.nc.RequestWithContext(ctx, fmt.Sprintf("%s.1.%d.%d.0.0", prefix, pos, seq), []byte("+ACK"))
		return err
	})
	return requestError("acknowledge", err)
}
