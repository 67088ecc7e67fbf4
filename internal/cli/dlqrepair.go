package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/fixture"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/protopayload"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/redrive"
)

// repairFlags hold payloads that replace those of dead letters.
type repairFlags struct {
	payload string
	edited  []string
	anyKey  bool
}

func (f *repairFlags) addRepair(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringVar(&f.payload, "payload", "", "`FILE` of a repaired payload for the only dead letter that is sent: bytes, or protojson if it ends in .json")
	fs.StringArrayVar(&f.edited, "edited", nil, "`FILE` of dlq edit whose payload was repaired; may be given several times")
	fs.BoolVar(&f.anyKey, "any-key", false, "accept a repaired payload whose own key or topic are not the dead letter's")
}

// repaired is the payloads that replace those of the plan's dead letters, by
// origin. A payload that still breaks the contract is refused: it would only
// come back.
func (f *repairFlags) repaired(ctx context.Context, a *app, b *ampybus.Bus, p *redrive.Plan) (map[string][]byte, error) {
	if f.payload == "" && len(f.edited) == 0 {
		return nil, nil
	}
	if f.payload != "" && len(f.edited) > 0 {
		return nil, usagef("--payload, --edited: give one of them")
	}
	letters, err := a.planned(ctx, b, p)
	if err != nil {
		return nil, err
	}
	if f.payload != "" {
		return f.fromPayload(a, letters)
	}
	return f.fromFixtures(letters)
}

// planned reads the plan's dead letters that are still open.
func (a *app) planned(ctx context.Context, b *ampybus.Bus, p *redrive.Plan) ([]*ampybus.DeadLetter, error) {
	wanted := make(map[string]bool, len(p.Entries))
	for _, e := range p.Entries {
		wanted[e.Origin] = true
	}
	var letters []*ampybus.DeadLetter
	err := a.eachDeadLetter(ctx, b, p.Pattern, false, func(d *ampybus.DeadLetter) (bool, error) {
		if wanted[d.Origin()] {
			letters = append(letters, d)
		}
		return true, nil
	})
	return letters, err
}

func (f *repairFlags) fromPayload(a *app, letters []*ampybus.DeadLetter) (map[string][]byte, error) {
	if len(letters) != 1 {
		return nil, usagef("--payload: it is for one dead letter, and %d are meant; narrow them down, or use --edited", len(letters))
	}
	d := letters[0]
	data, err := readInput(a.in, f.payload, ampybus.MaxPayload)
	if err != nil {
		return nil, usagef("--payload: %v", err)
	}
	if strings.HasSuffix(f.payload, ".json") {
		m, err := protopayload.FromJSON(d.Headers.SchemaFQDN, data)
		if err == nil {
			data, err = protopayload.Canonical(m)
		}
		if err != nil {
			return nil, usagef("--payload: %v", err)
		}
	}
	if err := f.check(d, data); err != nil {
		return nil, usagef("--payload: %v", err)
	}
	return map[string][]byte{d.Origin(): data}, nil
}

func (f *repairFlags) fromFixtures(letters []*ampybus.DeadLetter) (map[string][]byte, error) {
	payloads := make(map[string][]byte, len(f.edited))
	for _, name := range f.edited {
		fix, err := fixture.ReadFile(name)
		if err != nil {
			return nil, usagef("--edited: %v", err)
		}
		d, err := letterOf(fix.Envelope, letters)
		if err == nil && payloads[d.Origin()] != nil {
			err = errors.New("another file repairs the same dead letter")
		}
		var data []byte
		if err == nil {
			data, err = ampybus.Decompress(fix.Envelope.Headers.ContentEncoding, fix.Envelope.Payload, ampybus.InflateLimits{})
		}
		if err == nil {
			err = f.check(d, data)
		}
		if err != nil {
			return nil, usagef("--edited: %s: %v", name, err)
		}
		payloads[d.Origin()] = data
	}
	return payloads, nil
}

var errNotPlanned = errors.New("its dead letter is not among those that are sent: it is settled, or the headers were changed; only the payload may be")

// letterOf is the dead letter that an edited envelope was made of. Where the
// message died, in which group and at which retry, names it.
func letterOf(e ampybus.Envelope, letters []*ampybus.DeadLetter) (*ampybus.DeadLetter, error) {
	for _, d := range letters {
		h, was := &e.Headers, &d.Headers
		if e.Topic == d.Topic && h.MessageID == was.MessageID && h.RetryCount == was.RetryCount &&
			h.DLQ.Topic == was.DLQ.Topic && h.DLQ.Group == was.DLQ.Group && h.DLQ.Origin == was.DLQ.Origin &&
			h.PartitionKey == was.PartitionKey && h.SchemaFQDN == was.SchemaFQDN {
			return d, nil
		}
	}
	return nil, errNotPlanned
}

// check reports why a repaired payload of d would die again, or belong
// elsewhere. A type that is not known cannot be checked.
func (f *repairFlags) check(d *ampybus.DeadLetter, payload []byte) error {
	m, err := protopayload.Decode(d.Headers.SchemaFQDN, payload)
	if errors.Is(err, protopayload.ErrUnknownSchema) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("it still does not decode: %w", err)
	}
	topic, err := ampybus.ParseTopic(d.Target)
	if err != nil {
		return fmt.Errorf("the dead letter has no way back: %w", err)
	}
	facts, err := protopayload.FactsOf(topic, m)
	if errors.Is(err, protopayload.ErrBatch) {
		return err
	}
	key := d.Headers.PartitionKey
	switch {
	case f.anyKey:
	case facts.Key != "" && facts.Key != key && facts.CoarseKey != key:
		return fmt.Errorf("its key is %s, the dead letter's %s: it is another message, or say --any-key", facts.Key, key)
	case facts.Subtopic != "" && facts.Subtopic != topic.Subtopic:
		return fmt.Errorf("it belongs on %s, the dead letter on %s: it is another message, or say --any-key", facts.Subtopic, topic.Subtopic)
	}
	return nil
}
