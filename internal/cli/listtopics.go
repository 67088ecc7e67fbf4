package cli

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

func (a *app) listTopics() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:     "list-topics",
		Short:   "List the Kafka topics of the bus",
		Example: "  kafkainspect list-topics --brokers 127.0.0.1:9092",
	}
	cmd.Flags().BoolVar(&all, "all", false, "list those of others too")
	a.outputFlag(cmd)
	a.connectionFlags(cmd)
	return a.command(cmd, func(cmd *cobra.Command) error {
		adm, err := a.kafkaAdmin(cmd)
		if err != nil {
			return err
		}
		defer adm.Close()
		docs, err := kafkaTopics(cmd, adm, all)
		if err == nil && len(docs) == 0 {
			err = exitf(ExitNothing, "no topic of the bus; the first message published makes one")
		}
		if err != nil {
			return err
		}
		return a.showTopics(docs)
	})
}

// topicDoc is a Kafka topic as JSON.
type topicDoc struct {
	KafkaTopic string `json:"kafka_topic"`
	Partitions int    `json:"partitions"`
	Replicas   int    `json:"replicas"`
	Records    int64  `json:"records"`
	Error      string `json:"error,omitempty"`
}

func kafkaTopics(cmd *cobra.Command, adm *kadm.Client, all bool) ([]topicDoc, error) {
	topics, err := adm.ListTopics(cmd.Context())
	if err != nil {
		return nil, kafkaError("list topics", err)
	}
	first, err := adm.ListStartOffsets(cmd.Context(), topics.Names()...)
	if err != nil {
		return nil, kafkaError("list topics", err)
	}
	next, err := adm.ListEndOffsets(cmd.Context(), topics.Names()...)
	if err != nil {
		return nil, kafkaError("list topics", err)
	}
	var docs []topicDoc
	for _, t := range topics.Sorted() {
		if !all && !strings.HasPrefix(t.Topic, "ampy.") {
			continue
		}
		d := topicDoc{KafkaTopic: t.Topic, Partitions: len(t.Partitions), Replicas: t.Partitions.NumReplicas()}
		if t.Err != nil {
			d.Error = t.Err.Error()
		}
		for p := range t.Partitions {
			d.Records += max(next[t.Topic][p].Offset-first[t.Topic][p].Offset, 0)
		}
		docs = append(docs, d)
	}
	return docs, nil
}

func (a *app) showTopics(docs []topicDoc) error {
	header := []string{"KAFKA TOPIC", "PARTITIONS", "REPLICAS", "RECORDS"}
	return printDocs(a, docs, header, func(d topicDoc) []string {
		return []string{d.KafkaTopic, strconv.Itoa(d.Partitions), strconv.Itoa(d.Replicas), strconv.FormatInt(d.Records, 10)}
	})
}
