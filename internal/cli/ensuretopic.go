package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/AmpyFin/ampy-bus/internal/terminal"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/kafkabinding"
)

// Bounds against mistyped numbers.
const (
	maxKafkaPartitions = 1000
	maxKafkaReplicas   = 15
)

func (a *app) ensureTopic() *cobra.Command {
	var (
		topic      string
		partitions = number{min: 1, max: maxKafkaPartitions}
		replicas   = number{min: 1, max: maxKafkaReplicas}
	)
	cmd := &cobra.Command{
		Use:   "ensure-topic",
		Short: "Create the Kafka topic of a bus topic unless it exists",
		Long: `Create the Kafka topic of a bus topic unless it exists, with the retention of its
domain's policy. All topics of one environment, domain and version share one.

A topic that exists is never altered: with other partitions a key would move to
another partition, and its order would be lost (exit 3).`,
		Example: `  kafkabusctl ensure-topic --brokers 127.0.0.1:9092 \
    --topic ampy.prod.bars.v1.XNAS.AAPL --partitions 3`,
	}
	fs := cmd.Flags()
	fs.StringVar(&topic, "topic", "", "`TOPIC` of the bus, or the Kafka topic itself")
	fs.Var(&partitions, "partitions", "partitions: the most members of a group that can work at once (else 6)")
	fs.Var(&replicas, "replicas", "copies of each partition (else the cluster's default)")
	a.outputFlag(cmd)
	a.connectionFlags(cmd)
	return a.command(cmd, func(cmd *cobra.Command) error {
		name, err := a.busOrKafkaTopic(topic)
		if err != nil {
			return err
		}
		a.partitions, a.replicas = partitions.value, replicas.value
		return a.ensure(cmd, ensureDoc{Topic: topic, KafkaTopic: name, Partitions: partitions.value, Replicas: replicas.value})
	}, "topic")
}

// ensureDoc is what became of a topic, as JSON.
type ensureDoc struct {
	Topic      string `json:"topic"`
	KafkaTopic string `json:"kafka_topic"`
	Created    bool   `json:"created"`
	Partitions int    `json:"partitions"`
	Replicas   int    `json:"replicas"`
}

func (a *app) ensure(cmd *cobra.Command, d ensureDoc) error {
	wanted := d
	t, err := a.connect(cmd)
	if err != nil {
		return err
	}
	defer t.Close(cmd.Context()) //nolint:errcheck // nothing was left on its way
	k, ok := t.(*kafkabinding.Transport)
	if !ok {
		return usagef("--bus: %s makes topics on Kafka, not on %s", cmd.Name(), t.Name())
	}
	err = k.CreateTopic(cmd.Context(), d.KafkaTopic)
	d.Created = err == nil
	if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		return kafkaError("create topic "+d.KafkaTopic, err)
	}
	adm, err := a.kafkaAdmin(cmd)
	if err != nil {
		return err
	}
	defer adm.Close()
	if d.Partitions, d.Replicas, err = shapeOf(cmd, adm, d.KafkaTopic); err != nil {
		return err
	}
	if err := a.showEnsured(d); err != nil {
		return err
	}
	switch {
	case wanted.Partitions != 0 && wanted.Partitions != d.Partitions:
		return exitf(ExitCheck, "--partitions: %s has %d partitions, not %d; it is left as it is, because with others its keys would lose their order", d.KafkaTopic, d.Partitions, wanted.Partitions)
	case wanted.Replicas != 0 && wanted.Replicas != d.Replicas:
		return exitf(ExitCheck, "--replicas: %s has %d replicas, not %d; it is left as it is (kafka-reassign-partitions adds some)", d.KafkaTopic, d.Replicas, wanted.Replicas)
	}
	return nil
}

func shapeOf(cmd *cobra.Command, adm *kadm.Client, name string) (partitions, replicas int, err error) {
	topics, err := adm.ListTopics(cmd.Context(), name)
	if err == nil {
		err = topics[name].Err
	}
	t := topics[name]
	return len(t.Partitions), t.Partitions.NumReplicas(), kafkaError("look at topic "+name, err)
}

func (a *app) showEnsured(d ensureDoc) error {
	if a.output == formatJSON {
		return a.printJSON(d)
	}
	what := "exists"
	if d.Created {
		what = "created"
	}
	fmt.Fprintf(a.out, "[topic] %s kafka_topic=%s partitions=%d topic=%s\n", what, terminal.Field(d.KafkaTopic), d.Partitions, terminal.Field(d.Topic))
	return nil
}
