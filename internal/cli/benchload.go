package cli

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/AmpyFin/ampy-bus/internal/bench"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

const (
	// maxBench keeps a mistyped count from filling a disk.
	maxBench = 100_000_000
	maxRate  = 10_000_000
	// maxRates is a curve with a point every few pixels.
	maxRates = 50
)

// loadFlags hold a load.
type loadFlags struct {
	topic, producer, source, pk, schema string
	count, size, keys, rate             number
}

func (f *loadFlags) add(cmd *cobra.Command, topicFlag string) {
	f.count = number{value: 10_000, min: 1, max: maxBench}
	f.size = number{value: 256, min: 0, max: ampybus.MaxInlinePayload}
	f.keys = number{value: 1, min: 1, max: 1_000_000}
	f.rate = number{min: 1, max: maxRate}
	fs := cmd.Flags()
	fs.StringVar(&f.topic, topicFlag, "", "`TOPIC` to publish to")
	fs.StringVar(&f.producer, "producer", "bench@cli", "`NAME` of the producer")
	fs.StringVar(&f.source, "source", "bench", "`NAME` of the source")
	fs.StringVar(&f.pk, "pk", "", "partition `KEY` (else the subtopic)")
	fs.StringVar(&f.schema, "schema", "", "payload `TYPE` (else the topic's)")
	fs.Var(&f.count, "count", "messages to publish")
	fs.Var(&f.size, "size", "bytes of each payload")
	fs.Var(&f.keys, "keys", "different partition keys, in turn")
	fs.Var(&f.rate, "rate", "messages a second, at fixed times; else as fast as possible")
}

func (f *loadFlags) load() (bench.Load, error) {
	topic, err := ampybus.ParseTopic(f.topic)
	if err != nil {
		return bench.Load{}, err
	}
	e := envelopeFlags{topic: f.topic, schema: f.schema}
	schema, err := e.schemaOrDefault()
	if err != nil {
		return bench.Load{}, err
	}
	l := bench.Load{
		Topic: f.topic, Schema: schema, Producer: f.producer, Source: f.source, Key: or(f.pk, topic.Subtopic),
		Keys: f.keys.value, Count: f.count.value, PayloadBytes: f.size.value, Rate: float64(f.rate.value),
	}
	return l, l.Validate()
}

// rates is a flag for several rates, in rising order.
type rates []int

func (r *rates) String() string {
	s := make([]string, len(*r))
	for i, v := range *r {
		s[i] = strconv.Itoa(v)
	}
	return strings.Join(s, ",")
}
func (r *rates) Type() string { return "LIST" }

func (r *rates) Set(s string) error {
	var rs rates
	for part := range strings.SplitSeq(s, ",") {
		n := number{min: 1, max: maxRate}
		if err := n.Set(strings.TrimSpace(part)); err != nil {
			return err
		}
		if slices.Contains(rs, n.value) {
			return fmt.Errorf("%d is there twice", n.value)
		}
		rs = append(rs, n.value)
	}
	if len(rs) > maxRates {
		return fmt.Errorf("%d rates, the limit is %d", len(rs), maxRates)
	}
	slices.Sort(rs)
	*r = rs
	return nil
}
