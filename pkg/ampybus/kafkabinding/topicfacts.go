package kafkabinding

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/doctor"
)

// safeReplicas survive the loss of one while another is restarted.
const safeReplicas = 3

func (e *examination) replicaFact() doctor.Finding {
	f := doctor.Finding{Check: "replicas", Title: "topics survive the loss of a broker", Verdict: doctor.Holds}
	few, behind := e.which(func(t *topicState) bool { return t.replicas < safeReplicas }), e.which(func(t *topicState) bool { return t.short > 0 })
	switch {
	case e.brokers < safeReplicas:
		f.Verdict, f.Why, f.Fix = doctor.Fails, "a cluster of "+count(e.brokers, "broker"), "run three or more"
	case e.topicsE != nil:
		return e.unread(f, e.topicsE)
	case few != "":
		f.Verdict, f.Why, f.Fix = doctor.Partly, "fewer than three replicas: "+few, "kafka-reassign-partitions.sh, to three replicas"
	case len(e.topics) == 0 && e.replicasToBe() < 0:
		return e.unread(f, errors.Join(e.brokerE, errNotTold))
	case len(e.topics) == 0 && e.replicasToBe() < safeReplicas:
		f.Verdict, f.Why, f.Fix = doctor.Partly, "topics to be made get "+count(e.replicasToBe(), "replica"), "set default.replication.factor=3 on the brokers, or Replicas here"
	case behind != "":
		f.Verdict, f.Why, f.Fix = doctor.Partly, "replicas that lag behind or are away: "+behind, "see to the brokers that hold them"
	default:
		f.Why = count(e.brokers, "broker") + ", three replicas"
	}
	return f
}

// replicasToBe is what topics that the bus makes get.
func (e *examination) replicasToBe() int {
	if e.c.Replicas > 0 {
		return e.c.Replicas
	}
	return int(e.broker.number("default.replication.factor"))
}

const minInSync = "min.insync.replicas"

func (e *examination) inSyncFact() doctor.Finding {
	f := doctor.Finding{Check: "in_sync", Title: "an acknowledgement means: on two brokers", Verdict: doctor.Holds, Why: "acks=all, and min.insync.replicas of 2 or more"}
	single := e.which(func(t *topicState) bool { return t.conf.number(minInSync) < 2 })
	switch {
	case e.topicsE != nil:
		return e.unread(f, e.topicsE)
	case single != "":
		f.Verdict, f.Why, f.Fix = doctor.Fails, "min.insync.replicas is 1: "+single, "kafka-configs.sh --alter --entity-type topics --add-config min.insync.replicas=2"
	case len(e.topics) == 0 && e.brokerE != nil:
		return e.unread(f, e.brokerE)
	case len(e.topics) == 0 && e.c.Replicas < safeReplicas && e.broker.number(minInSync) < 2:
		f.Verdict, f.Why, f.Fix = doctor.Fails, "min.insync.replicas is 1 for topics to be made", "set min.insync.replicas=2 on the brokers"
	}
	return f
}

const unclean = "unclean.leader.election.enable"

func (e *examination) electionFact() doctor.Finding {
	f := doctor.Finding{Check: "election", Title: "only a replica that has everything leads", Verdict: doctor.Holds, Why: "no unclean leader election"}
	dirty := e.which(func(t *topicState) bool { return t.conf[unclean] == "true" })
	switch {
	case e.topicsE != nil:
		return e.unread(f, e.topicsE)
	case dirty != "":
		f.Verdict, f.Why = doctor.Fails, "unclean leader election, which drops what was acknowledged: "+dirty
	case len(e.topics) == 0 && e.broker[unclean] == "true":
		f.Verdict, f.Why = doctor.Fails, "unclean leader election for topics to be made"
	default:
		return f
	}
	f.Fix = "set unclean.leader.election.enable=false"
	return f
}

// offsetsTopic holds the positions of groups.
const offsetsTopic = "__consumer_offsets"

func (e *examination) internalFact() doctor.Finding {
	f := doctor.Finding{Check: "internal", Title: "positions of groups survive the loss of a broker", Verdict: doctor.Holds, Why: offsetsTopic + " has three replicas"}
	if e.topicsE != nil {
		return e.unread(f, e.topicsE)
	}
	replicas := int(e.broker.number("offsets.topic.replication.factor"))
	for _, t := range e.internal {
		if t.name == offsetsTopic {
			replicas = t.replicas
		}
	}
	if replicas < 0 {
		return e.unread(f, errors.Join(e.brokerE, errNotTold))
	}
	if replicas < safeReplicas {
		f.Verdict, f.Why, f.Fix = doctor.Fails, offsetsTopic+" has or gets "+count(replicas, "replica"), "set offsets.topic.replication.factor=3 before the first group, or reassign the topic"
	}
	return f
}

func (e *examination) topicFact() doctor.Finding {
	f := doctor.Finding{Check: "topics", Title: "topics are as the bus makes them", Verdict: doctor.Holds}
	if e.topicsE != nil {
		return e.unread(f, e.topicsE)
	}
	var notes []string
	partitions := 0
	for i := range e.topics {
		partitions += e.topics[i].partitions
		notes = append(notes, e.topics[i].remarks()...)
	}
	f.Why = fmt.Sprintf("%s, %s", count(len(e.topics), "topic"), count(partitions, "partition"))
	if len(notes) > 0 {
		f.Verdict, f.Why, f.Fix = doctor.Partly, strings.Join(notes, "; "), "kafka-configs.sh --alter --entity-type topics, for those named"
	}
	return f
}

// remarks are departures from what the domain's policy asks for.
func (t *topicState) remarks() (notes []string) {
	add := func(format string, args ...any) { notes = append(notes, t.name+": "+fmt.Sprintf(format, args...)) }
	if t.compacted() {
		add("cleanup.policy=%s", t.conf[cleanup])
	}
	if keep := t.kept(); keep >= 0 && keep < t.policy() {
		add("kept %s, the policy says %s", hours(keep), hours(t.policy()))
	}
	if n := t.conf.number("retention.bytes"); n > 0 {
		add("limited to %d bytes a partition", n)
	}
	if t.conf["message.timestamp.type"] != "LogAppendTime" {
		add("message.timestamp.type=%s: windows are those of the producers' clocks", t.conf["message.timestamp.type"])
	}
	return notes
}

const cleanup = "cleanup.policy"

func (t *topicState) compacted() bool { return strings.Contains(t.conf[cleanup], "compact") }

// kept is how long the topic keeps records; -1: for ever, or not told.
func (t *topicState) kept() time.Duration {
	ms := t.conf.number("retention.ms")
	if ms < 0 {
		return -1
	}
	return time.Duration(ms) * time.Millisecond
}

// policy is how long the domain's policy keeps records.
func (t *topicState) policy() time.Duration {
	p, _ := ampybus.PolicyFor(domainOf(t.name + "."))
	return p.Retention
}

func hours(d time.Duration) string {
	if d%(24*time.Hour) == 0 {
		return count(int(d/(24*time.Hour)), "day")
	}
	return d.String()
}

func (e *examination) sizeFact() doctor.Finding {
	f := doctor.Finding{Check: "max_message", Title: "the largest record of the bus fits", Verdict: doctor.Holds, Why: fmt.Sprintf("batches of %d bytes", defaultBatchBytes)}
	small := e.which(func(t *topicState) bool { return t.conf.number("max.message.bytes") < defaultBatchBytes })
	switch {
	case e.topicsE != nil:
		return e.unread(f, e.topicsE)
	case small != "":
		f.Why = "large records are refused: " + small
	case len(e.topics) == 0 && e.broker["message.max.bytes"] != "" && e.broker.number("message.max.bytes") < defaultBatchBytes:
		f.Why = fmt.Sprintf("message.max.bytes=%s: large records will be refused", e.broker["message.max.bytes"])
	default:
		return f
	}
	f.Verdict, f.Fix = doctor.Partly, fmt.Sprintf("set max.message.bytes (message.max.bytes on the brokers) to %d or more", defaultBatchBytes)
	return f
}

// which names the bus's topics that the question is true of.
func (e *examination) which(is func(*topicState) bool) string {
	var names []string
	for i := range e.topics {
		if is(&e.topics[i]) {
			names = append(names, e.topics[i].name)
		}
	}
	return strings.Join(names, ", ")
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
