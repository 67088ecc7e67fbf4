package protopayload

import (
	"fmt"
	"strings"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// The functions below are the batch rules of the table. Order is kept within a
// partition key, and a message has one, so most domains ask that every record of
// a batch has the same.

// oneKey: all records have the same key.
func oneKey(_ ampybus.Topic, all []Facts) error {
	if other, ok := differing(all, func(f Facts) string { return f.Key }); ok {
		return fmt.Errorf("%w: keys %s and %s; send one batch per key", ErrBatch, all[0].Key, other)
	}
	return nil
}

// oneKind: all ticks have the same key, are all trades or all quotes, and are
// published under that kind.
func oneKind(topic ampybus.Topic, all []Facts) error {
	if err := oneKey(topic, all); err != nil {
		return err
	}
	if _, ok := differing(all, func(f Facts) string { return f.kind }); ok {
		return fmt.Errorf("%w: trades and quotes have topics of their own; send one batch of each", ErrBatch)
	}
	want, _, _ := strings.Cut(topic.Subtopic, ".")
	if want != "" && want != all[0].kind {
		return fmt.Errorf("%w: a %s on the topic of %ss; publish it under %s", ErrBatch, all[0].kind, want, all[0].Subtopic)
	}
	return nil
}

// namedKey: several keys may travel together, but then only the producer can say
// which key orders the message.
func namedKey(_ ampybus.Topic, all []Facts) error {
	if other, ok := differing(all, func(f Facts) string { return f.Key }); ok {
		return fmt.Errorf("%w: keys %s and %s", ErrMixedKeys, all[0].Key, other)
	}
	return nil
}

// oneKeyUnlessRates: a topic of one pair holds that pair only; the topic of all
// pairs may hold several under a named key.
func oneKeyUnlessRates(topic ampybus.Topic, all []Facts) error {
	if topic.Subtopic == ratesSubtopic {
		return namedKey(topic, all)
	}
	return oneKey(topic, all)
}

// oneModel: the topic names the model, so all signals are of one.
func oneModel(topic ampybus.Topic, all []Facts) error {
	if other, ok := differing(all, func(f Facts) string { return f.Subtopic }); ok {
		return fmt.Errorf("%w: models %s and %s; send one batch per model", ErrBatch, all[0].Subtopic, other)
	}
	return namedKey(topic, all)
}

// oneRecord: each record is a decision of its own that may be refused alone.
func oneRecord(_ ampybus.Topic, all []Facts) error {
	if len(all) > 1 {
		return fmt.Errorf("%w: %d records; send one message per record", ErrBatch, len(all))
	}
	return nil
}

// differing is the first value that is not the first record's.
func differing(all []Facts, value func(Facts) string) (string, bool) {
	for _, f := range all[1:] {
		if v := value(f); v != value(all[0]) {
			return v, true
		}
	}
	return "", false
}
