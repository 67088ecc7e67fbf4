package cli

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/AmpyFin/ampy-bus/internal/terminal"
)

func (a *app) describeTopic() *cobra.Command {
	var topic string
	cmd := &cobra.Command{
		Use:   "describe-topic",
		Short: "Show the partitions and settings of the Kafka topic of a bus topic",
		Example: `  kafkainspect describe-topic --brokers 127.0.0.1:9092 \
    --topic ampy.prod.bars.v1.XNAS.AAPL`,
	}
	cmd.Flags().StringVar(&topic, "topic", "", "`TOPIC` of the bus, or the Kafka topic itself")
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
		d, err := describe(cmd, adm, name)
		if err != nil {
			return err
		}
		d.Topic = topic
		return a.showDescription(d)
	}, "topic")
}

// descriptionDoc is a Kafka topic in detail, as JSON.
type descriptionDoc struct {
	Topic      string            `json:"topic"`
	KafkaTopic string            `json:"kafka_topic"`
	Partitions []partitionDoc    `json:"partitions"`
	Settings   map[string]string `json:"settings,omitempty"`
}

// partitionDoc is one partition, as JSON.
type partitionDoc struct {
	Partition int32   `json:"partition"`
	Leader    int32   `json:"leader"`
	Replicas  []int32 `json:"replicas"`
	InSync    []int32 `json:"in_sync"`
	First     int64   `json:"first"`
	Next      int64   `json:"next"`
}

// shownSettings are those that the bus's promises rest on.
func shownSettings() []string {
	return []string{"cleanup.policy", "message.timestamp.type", "min.insync.replicas", "retention.bytes", "retention.ms", "unclean.leader.election.enable"}
}

func describe(cmd *cobra.Command, adm *kadm.Client, name string) (descriptionDoc, error) {
	d := descriptionDoc{KafkaTopic: name, Settings: make(map[string]string)}
	topics, err := adm.ListTopics(cmd.Context(), name)
	if err == nil {
		err = topics[name].Err
	}
	if err == nil && len(topics[name].Partitions) == 0 {
		err = kerr.UnknownTopicOrPartition
	}
	if err != nil {
		return d, kafkaError("look at topic "+name, err)
	}
	first, next, err := offsetsOf(cmd, adm, name)
	if err != nil {
		return d, err
	}
	for _, p := range topics[name].Partitions.Sorted() {
		d.Partitions = append(d.Partitions, partitionDoc{
			Partition: p.Partition, Leader: p.Leader, Replicas: p.Replicas, InSync: p.ISR,
			First: first[name][p.Partition].Offset, Next: next[name][p.Partition].Offset,
		})
	}
	configs, err := adm.DescribeTopicConfigs(cmd.Context(), name)
	if err != nil {
		return d, kafkaError("read the settings of "+name, err)
	}
	for _, c := range configs {
		for _, s := range c.Configs {
			if slices.Contains(shownSettings(), s.Key) {
				d.Settings[s.Key] = s.MaybeValue()
			}
		}
	}
	return d, nil
}

func offsetsOf(cmd *cobra.Command, adm *kadm.Client, name string) (first, next kadm.ListedOffsets, err error) {
	if first, err = adm.ListStartOffsets(cmd.Context(), name); err == nil {
		err = first.Error()
	}
	if err == nil {
		next, err = adm.ListEndOffsets(cmd.Context(), name)
	}
	if err == nil {
		err = next.Error()
	}
	return first, next, kafkaError("ask for the offsets of "+name, err)
}

func (a *app) showDescription(d descriptionDoc) error {
	if a.output == formatJSON {
		return a.printJSON(d)
	}
	fmt.Fprintf(a.out, "kafka_topic: %s\n", terminal.Escape(d.KafkaTopic))
	if d.Topic != d.KafkaTopic {
		fmt.Fprintf(a.out, "topic:       %s\n", terminal.Escape(d.Topic))
	}
	for _, name := range shownSettings() {
		if value := d.Settings[name]; value != "" {
			fmt.Fprintf(a.out, "%s: %s\n", name, terminal.Escape(value))
		}
	}
	rows := make([][]string, 0, len(d.Partitions))
	for _, p := range d.Partitions {
		rows = append(rows, []string{
			strconv.Itoa(int(p.Partition)), strconv.Itoa(int(p.Leader)), numbers(p.Replicas), numbers(p.InSync),
			strconv.FormatInt(p.First, 10), strconv.FormatInt(p.Next, 10), strconv.FormatInt(p.Next-p.First, 10),
		})
	}
	printTable(a.out, []string{"PARTITION", "LEADER", "REPLICAS", "IN SYNC", "FIRST", "NEXT", "RECORDS"}, rows)
	return nil
}

func numbers(ns []int32) string {
	text := make([]string, len(ns))
	for i, n := range ns {
		text[i] = strconv.Itoa(int(n))
	}
	return strings.Join(text, ",")
}
