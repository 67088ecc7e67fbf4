package cli

import (
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/AmpyFin/ampy-bus/internal/terminal"
)

func (a *app) offsets() *cobra.Command {
	var (
		topic string
		at    start
	)
	cmd := &cobra.Command{
		Use:   "offsets",
		Short: "Show where each partition begins, ends, and stood at a time",
		Example: "  " + a.prog.Name + ` offsets --brokers 127.0.0.1:9092 --topic ampy.prod.bars.v1.XNAS.AAPL
  ` + a.prog.Name + ` offsets --topic ampy.prod.bars.v1.XNAS.AAPL --at 2025-01-01T09:30:00Z -o json`,
	}
	cmd.Flags().StringVar(&topic, "topic", "", "`TOPIC` of the bus, or the Kafka topic itself")
	cmd.Flags().Var(&at, "at", "a time, or so long ago: show the first record stored at or after it")
	a.outputFlag(cmd)
	a.connectionFlags(cmd)
	return a.command(cmd, func(cmd *cobra.Command) error {
		name, err := a.busOrKafkaTopic(topic)
		if err != nil {
			return err
		}
		adm, err := a.kafkaAdmin(cmd)
		if err != nil {
			return err
		}
		defer adm.Close()
		docs, err := kafkaOffsets(cmd, adm, name, at.at)
		if err != nil {
			return err
		}
		return a.showOffsets(name, docs, at.given())
	}, "topic")
}

// offsetDoc is a partition's positions as JSON.
type offsetDoc struct {
	KafkaTopic string `json:"kafka_topic"`
	Partition  int32  `json:"partition"`
	First      int64  `json:"first"`
	Next       int64  `json:"next"`
	// At is the first record stored at or after the time that was asked for,
	// or Next when there is none.
	At *int64 `json:"at,omitempty"`
}

func kafkaOffsets(cmd *cobra.Command, adm *kadm.Client, name string, at time.Time) ([]offsetDoc, error) {
	first, next, err := offsetsOf(cmd, adm, name)
	if err != nil {
		return nil, err
	}
	var then kadm.ListedOffsets
	if !at.IsZero() {
		if then, err = adm.ListOffsetsAfterMilli(cmd.Context(), at.UnixMilli(), name); err == nil {
			err = then.Error()
		}
		if err != nil {
			return nil, kafkaError("ask for the offsets of "+name, err)
		}
	}
	docs := make([]offsetDoc, 0, len(next[name]))
	for p := range int32(len(next[name])) {
		d := offsetDoc{KafkaTopic: name, Partition: p, First: first[name][p].Offset, Next: next[name][p].Offset}
		if o, ok := then.Lookup(name, p); ok {
			d.At = &o.Offset
		}
		docs = append(docs, d)
	}
	return docs, nil
}

func (a *app) showOffsets(name string, docs []offsetDoc, timed bool) error {
	header := []string{"PARTITION", "FIRST", "NEXT"}
	if timed {
		header = append(header, "AT")
	}
	if a.output != formatJSON {
		fmt.Fprintf(a.out, "kafka_topic: %s\n", terminal.Escape(name))
	}
	return printDocs(a, docs, header, func(d offsetDoc) []string {
		row := []string{strconv.Itoa(int(d.Partition)), strconv.FormatInt(d.First, 10), strconv.FormatInt(d.Next, 10)}
		if d.At != nil {
			row = append(row, strconv.FormatInt(*d.At, 10))
		}
		return row
	})
}
