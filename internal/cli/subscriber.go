package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/AmpyFin/ampy-bus/internal/terminal"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/protopayload"
)

// subscriber prints messages until it has printed enough.
type subscriber struct {
	*app
	flags *subFlags
	stop  context.CancelFunc

	mu     sync.Mutex
	count  int
	broken error // stdout
}

func (a *app) subscribe(cmd *cobra.Command, f *subFlags) error {
	if strings.HasSuffix(f.subject, ".*") {
		a.warn("%s: * stands for one token; > stands for all that follow", flagName(cmd, "pattern"))
	}
	b, err := a.open(cmd)
	if err != nil {
		return err
	}
	defer b.Close()
	a.sayKafkaTopic(f.subject)
	ctx, stop := context.WithCancel(cmd.Context())
	defer stop()
	s := &subscriber{app: a, flags: f, stop: stop}
	if f.durable != "" {
		err = s.consume(ctx, b)
	} else {
		err = s.read(ctx, b)
	}
	return s.end(cmd.Context(), err)
}

// read prints history, and then what comes.
func (s *subscriber) read(ctx context.Context, b *ampybus.Bus) error {
	r := ampybus.Range{Pattern: s.flags.subject, Start: s.flags.from.at, Follow: !s.flags.noFollow}
	var err error
	if s.flags.positions != "" {
		if r.From, err = startOf(ctx, b, s.flags.positions); err != nil {
			return err
		}
	}
	if !s.flags.from.given() && r.Follow {
		lanes, err := b.Transport().Lanes(ctx, "", r.Pattern)
		if err != nil {
			return fmt.Errorf("find the newest message of %s: %w", r.Pattern, err)
		}
		r.From = make(map[string]uint64, len(lanes))
		for _, l := range lanes {
			r.From[l.Log] = l.Next
		}
	}
	if r.Follow {
		s.listening("")
	}
	for m, err := range b.Read(ctx, r) {
		switch {
		case m != nil:
			s.show(m, err)
		case isGap(err):
			s.warn("%v", err)
		default:
			return err
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil
}

// errEnough hands a message back that came after the last one wanted.
var errEnough = errors.New("no more messages are wanted")

// consume prints as a member of a group. One worker keeps the order of lines
// that of the log.
func (s *subscriber) consume(ctx context.Context, b *ampybus.Bus) error {
	s.listening(" as group " + s.flags.durable)
	c := ampybus.Consumer{
		Pattern: s.flags.subject, Group: s.flags.durable, Workers: 1, Start: s.flags.from.at,
	}
	if s.flags.decode {
		c.Check = decodes
	}
	return b.Consume(ctx, c, func(_ context.Context, m *ampybus.Message) error {
		if !s.show(m, nil) {
			return ampybus.RetryAfter(time.Minute, errEnough)
		}
		return nil
	})
}

// decodes finds poison. An unknown type is none: the payload is opaque then.
func decodes(m *ampybus.Message) error {
	_, err := protopayload.Decode(m.Headers.SchemaFQDN, m.Payload)
	if errors.Is(err, protopayload.ErrUnknownSchema) {
		return nil
	}
	return err
}

// show prints one message, unless enough have been printed.
func (s *subscriber) show(m *ampybus.Message, fault error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.enough() {
		return false
	}
	s.count++
	s.broken = s.printMessage(m, fault)
	if s.enough() {
		s.stop()
	}
	return true
}

func (s *subscriber) enough() bool {
	return s.broken != nil || s.flags.max.value > 0 && s.count >= s.flags.max.value
}

func (s *subscriber) printMessage(m *ampybus.Message, fault error) error {
	d := newMessageDoc(m, fault, s.flags.decode)
	if s.output == formatJSON {
		return s.printJSON(d)
	}
	line := fmt.Sprintf("[consume] subject=%s msg_id=%s schema=%s size=%d pk=%s",
		terminal.Field(m.Topic), terminal.Field(m.Headers.MessageID), terminal.Field(m.Headers.SchemaFQDN),
		d.PayloadBytes, terminal.Field(m.Headers.PartitionKey))
	if d.Error != "" {
		line += " error=" + terminal.Field(d.Error)
	}
	_, err := fmt.Fprintln(s.out, line)
	if s.flags.headers {
		s.printHeaders("  ", m.Record.Headers)
	}
	s.printPayload("  ", d)
	return err
}

func (s *subscriber) listening(how string) {
	fmt.Fprintf(s.err, "[sub] listening on %s%s; Ctrl+C ends it\n", terminal.Field(s.flags.subject), terminal.Escape(how))
}

// end decides what it means that no more messages are printed.
func (s *subscriber) end(ctx context.Context, err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	late := errors.Is(ctx.Err(), context.DeadlineExceeded)
	switch {
	case s.broken != nil:
		return s.broken
	case s.enough():
		return nil
	case late && s.flags.max.value > 0:
		return exitf(ExitTimeout, "%d of %d messages came within %s", s.count, s.flags.max.value, s.timeout)
	case ctx.Err() != nil:
		return nil
	case err != nil:
		return err
	case s.count == 0:
		return exitf(ExitNothing, "no message on %s", s.flags.subject)
	}
	return nil
}
