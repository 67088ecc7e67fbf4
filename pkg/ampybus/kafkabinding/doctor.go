package kafkabinding

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/doctor"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// Doctor connects with c and reports which of the delivery promises hold on
// this cluster, why, and how to get the rest. It changes nothing. An error is
// never returned: what cannot be reached is a finding, and then the last one.
func Doctor(ctx context.Context, c Config) []doctor.Finding {
	t, err := Dial(c)
	if err != nil {
		return []doctor.Finding{unreachable(err)}
	}
	defer func() { _ = t.Close(ctx) }()
	e := t.examine(ctx)
	return doctor.OfTheBus(append(e.facts(), e.promises()...))
}

func unreachable(err error) doctor.Finding {
	f := doctor.Finding{Check: "connect", Title: "the broker is reachable", Verdict: doctor.Fails, Why: err.Error()}
	switch {
	case errors.Is(err, driver.ErrAuth):
		f.Title, f.Fix = "the broker accepts the credentials", "correct User, Pass and Mechanism, or the client's certificate"
	case errors.Is(err, driver.ErrConfig):
		f.Title, f.Fix = "the configuration can work", "correct what the text names"
	case errors.Is(err, driver.ErrPermission):
		f.Title, f.Fix = "this identity may use the bus", "extend its ACLs"
	default:
		f.Fix = "start a broker: kafkabusctl server, or Apache Kafka"
	}
	return f
}

// examination is what was learned about a cluster, before judging.
type examination struct {
	c         Config
	cluster   string
	version   string
	brokers   int
	broker    settings // of one broker; others should be alike
	brokerE   error
	topics    []topicState // of the bus
	internal  []topicState // of Kafka
	topicsE   error
	roundTrip time.Duration
}

// settings are configuration values by name.
type settings map[string]string

// number is a setting as a number, -1 when it is none.
func (s settings) number(name string) int64 {
	n, err := strconv.ParseInt(s[name], 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// topicState is one Kafka topic.
type topicState struct {
	name       string
	partitions int
	replicas   int // the fewest of a partition
	short      int // partitions with replicas that are not in sync
	conf       settings
}

// is reports that the topic is one of a domain of the bus.
func (t *topicState) is(domain string) bool { return domainOf(t.name+".") == domain }

func (t *Transport) examine(ctx context.Context) *examination {
	ctx, cancel := context.WithTimeout(ctx, examineTimeout)
	defer cancel()
	e := &examination{c: t.cfg, version: "of unknown version"}
	before := time.Now()
	meta, err := t.adm.BrokerMetadata(ctx)
	e.roundTrip = time.Since(before)
	if err != nil {
		e.brokerE, e.topicsE = err, err
		return e
	}
	e.cluster, e.brokers = meta.Cluster, len(meta.Brokers)
	if versions, err := t.adm.ApiVersions(ctx); err == nil {
		for _, v := range versions {
			e.version = v.VersionGuess()
		}
	}
	e.broker, e.brokerE = t.brokerSettings(ctx, meta)
	e.topics, e.internal, e.topicsE = t.topicStates(ctx)
	if e.topicsE == nil && len(e.topics) == 0 && e.brokerE != nil {
		// A broker hides topics from whoever may not see them.
		e.topicsE = fmt.Errorf("no topic of the bus is shown to %s: %w", t.cfg.identity(), e.brokerE)
	}
	return e
}

// examineTimeout bounds all questions of Doctor.
const examineTimeout = 15 * time.Second

func (t *Transport) brokerSettings(ctx context.Context, meta kadm.Metadata) (settings, error) {
	if len(meta.Brokers) == 0 {
		return nil, errors.New("the cluster names no broker")
	}
	found, err := t.adm.DescribeBrokerConfigs(ctx, meta.Brokers[0].NodeID)
	if err != nil {
		return nil, err
	}
	for _, r := range found {
		return settingsOf(r)
	}
	return nil, errors.New("no answer")
}

func settingsOf(r kadm.ResourceConfig) (settings, error) {
	if r.Err != nil {
		return nil, r.Err
	}
	s := make(settings, len(r.Configs))
	for _, c := range r.Configs {
		if c.Value != nil {
			s[c.Key] = *c.Value
		}
	}
	return s, nil
}

// topicStates reads the bus's topics and Kafka's own.
func (t *Transport) topicStates(ctx context.Context) (own, internal []topicState, err error) {
	details, err := t.adm.ListTopicsWithInternal(ctx)
	if err != nil {
		return nil, nil, err
	}
	var names []string
	for name := range details {
		if ours(name) || strings.HasPrefix(name, "__") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	confs := make(map[string]settings)
	if len(names) > 0 {
		found, err := t.adm.DescribeTopicConfigs(ctx, names...)
		if err != nil {
			return nil, nil, err
		}
		for _, r := range found {
			if confs[r.Name], err = settingsOf(r); err != nil {
				return nil, nil, fmt.Errorf("configuration of %s: %w", r.Name, err)
			}
		}
	}
	for _, name := range names {
		s := stateOf(details[name], confs[name])
		if ours(name) {
			own = append(own, s)
		} else {
			internal = append(internal, s)
		}
	}
	return own, internal, nil
}

// ours reports a topic of the bus, of either layout.
func ours(name string) bool {
	return strings.HasPrefix(name, "ampy.") && domainTopic(name+".x") != ""
}

func stateOf(d kadm.TopicDetail, conf settings) topicState {
	s := topicState{name: d.Topic, partitions: len(d.Partitions), conf: conf}
	for _, p := range d.Partitions {
		if s.replicas == 0 || len(p.Replicas) < s.replicas {
			s.replicas = len(p.Replicas)
		}
		if len(p.ISR) < len(p.Replicas) {
			s.short++
		}
	}
	return s
}

// standIn reports a server for development, not Apache Kafka.
func (e *examination) standIn() bool { return strings.HasPrefix(e.cluster, "kfake") }
