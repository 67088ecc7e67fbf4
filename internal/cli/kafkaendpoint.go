package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/AmpyFin/ampy-bus/internal/terminal"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/kafkabinding"
)

func isKafkaURL(url string) bool {
	return strings.HasPrefix(url, "kafka://") || strings.HasPrefix(url, "kafka+tls://")
}

// kafkaEndpoint is endpoint for Kafka.
func (a *app) kafkaEndpoint(cmd *cobra.Command, url, pass string) (Endpoint, error) {
	if scheme, _, ok := strings.Cut(url, "://"); ok && !isKafkaURL(url) {
		return Endpoint{}, usagef("--bus or --brokers: %s:// is no Kafka; %s", terminal.Escape(scheme), a.addressShape())
	}
	if err := plainLogin(url); err != nil {
		return Endpoint{}, err
	}
	for _, flag := range []string{"token", "creds", "nkey", "nkey-seed", "tls-first"} {
		if f := cmd.Flags().Lookup(flag); f != nil && f.Changed {
			return Endpoint{}, usagef("--%s: Kafka has no such login; use --user and --pass-file, or --tls-cert and --tls-key", flag)
		}
	}
	c := kafkabinding.FromEnv()
	if url != "" {
		c.Brokers = []string{url}
	}
	c.Name, c.Logger, c.ConnectTimeout = a.prog.Name, a.logger, connectBudget
	c.Partitions, c.Replicas, c.Linger = a.partitions, a.replicas, a.linger
	c.User, c.Pass, c.Mechanism = or(a.conn.user, c.User), or(pass, c.Pass), or(a.conn.sasl, c.Mechanism)
	c.TLS.CAFile = or(a.conn.tlsCA, c.TLS.CAFile)
	c.TLS.CertFile = or(a.conn.tlsCert, c.TLS.CertFile)
	c.TLS.KeyFile = or(a.conn.tlsKey, c.TLS.KeyFile)
	return Endpoint{URL: url, OnKafka: true, Kafka: c}, nil
}

// plainLogin refuses addresses in which a password would be taken for something
// else, and shown.
func plainLogin(url string) error {
	_, rest, ok := strings.Cut(url, "://")
	_, query, _ := strings.Cut(rest, "?")
	switch {
	case !ok && strings.Contains(url, "@"):
		return usagef("--brokers: a login belongs into --user and --pass-file, or a URL: kafka://user:password@host:port")
	case strings.Contains(query, "@"):
		return usagef("--bus: a ? in a password must be written %%3F; prefer --user and --pass-file")
	}
	return nil
}

// kafkaTokens of a topic are its Kafka topic: ampy, environment, domain and
// version. The rest is in the record.
const kafkaTokens = 4

// kafkaTopicOf is the Kafka topic that holds a bus topic, or a pattern for those
// that hold the topics of a pattern.
func kafkaTopicOf(url, topic string) string {
	tokens := strings.Split(topic, ".")
	if fullLayout(url) || len(tokens) <= kafkaTokens {
		return topic
	}
	return strings.Join(tokens[:kafkaTokens], ".")
}

// fullLayout: each bus topic is a Kafka topic, as peers of ampy-bus 1.x have it.
func fullLayout(url string) bool {
	_, query, _ := strings.Cut(url, "?")
	return strings.Contains("&"+query+"&", "&layout=full&")
}

// busOrKafkaTopic takes a bus topic, or a Kafka topic of the bus, and returns
// the Kafka topic.
func (a *app) busOrKafkaTopic(topic string) (string, error) {
	_, err := ampybus.ParseTopic(topic)
	if err == nil {
		return kafkaTopicOf(a.address(), topic), nil
	}
	if strings.Count(topic, ".") == kafkaTokens-1 {
		if _, asDomain := ampybus.ParseTopic(topic + ".x"); asDomain == nil {
			return topic, nil
		}
	}
	return "", err
}

// address is the URL as flags and environment have it.
func (a *app) address() string {
	url, _ := a.conn.url()
	if url == "" {
		url = strings.Join(kafkabinding.FromEnv().Brokers, ",")
	}
	return url
}

// sayKafkaTopic tells where on Kafka the topics of a pattern are: the names that
// other tools show.
func (a *app) sayKafkaTopic(pattern string) {
	if !a.reached.OnKafka {
		return
	}
	name, in := kafkaTopicOf(a.address(), pattern), "is in the Kafka topic"
	if strings.ContainsAny(name, "*>") {
		in = "is in the Kafka topics that match"
	}
	fmt.Fprintf(a.err, "[kafka] %s %s %s\n", terminal.Field(pattern), in, terminal.Field(name))
}
