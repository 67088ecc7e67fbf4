package kafkabinding

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/doctor"
)

// facts are what the judgement rests on.
func (e *examination) facts() []doctor.Finding {
	return []doctor.Finding{
		e.serverFact(),
		e.kindFact(),
		e.identityFact(),
		e.aclFact(),
		e.replicaFact(),
		e.inSyncFact(),
		e.electionFact(),
		e.internalFact(),
		e.topicFact(),
		e.sizeFact(),
		e.offsetFact(),
	}
}

func (e *examination) serverFact() doctor.Finding {
	return doctor.Finding{
		Check: "server", Title: "the broker is reachable", Verdict: doctor.Holds,
		Why: fmt.Sprintf("Kafka %s, cluster %s, %s, round trip %s", e.version, e.cluster, count(e.brokers, "broker"), e.roundTrip.Round(time.Microsecond)),
	}
}

func (e *examination) kindFact() doctor.Finding {
	f := doctor.Finding{Check: "kind", Title: "it is Apache Kafka", Verdict: doctor.Holds, Why: "its cluster id is not that of a stand-in"}
	if e.standIn() {
		f.Verdict, f.Why, f.Fix = doctor.Fails, "a stand-in for development: one process that promises nothing about crashes", "run Apache Kafka"
	}
	return f
}

func (e *examination) identityFact() doctor.Finding {
	who := e.c.identity()
	f := doctor.Finding{Check: "identity", Title: "the broker knows who this is", Verdict: doctor.Holds, Why: who}
	if who == "nobody" {
		f.Verdict, f.Why, f.Fix = doctor.Fails, "connected without credentials: anybody can", "require SASL or client certificates, and give this client some"
	}
	return f
}

const authorizer = "authorizer.class.name"

func (e *examination) aclFact() doctor.Finding {
	f := doctor.Finding{Check: "authorizer", Title: "identities have permissions of their own", Verdict: doctor.Holds, Why: e.broker[authorizer]}
	switch {
	case e.brokerE != nil:
		return e.unread(f, e.brokerE)
	case e.broker[authorizer] == "":
		f.Verdict, f.Why, f.Fix = doctor.Fails, "no authorizer: everybody may do everything", "set authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer"
	case e.broker["allow.everyone.if.no.acl.found"] == "true":
		f.Verdict, f.Why, f.Fix = doctor.Partly, "allow.everyone.if.no.acl.found: what has no ACL is open to everybody", "set it to false"
	}
	return f
}

var errNotTold = errors.New("no topic of the kind exists yet, and the default for new ones is not told")

// unread is a finding whose ground could not be read.
func (e *examination) unread(f doctor.Finding, err error) doctor.Finding {
	f.Verdict, f.Why, f.Fix = doctor.Unknown, err.Error(), "allow this identity Describe and DescribeConfigs on the cluster and on the topics ampy.* and __*"
	return f
}

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
	f := doctor.Finding{Check: "max_message", Title: "the largest record of the bus fits", Verdict: doctor.Holds, Why: fmt.Sprintf("batches of %d bytes", batchMaxBytes)}
	small := e.which(func(t *topicState) bool { return t.conf.number("max.message.bytes") < batchMaxBytes })
	switch {
	case e.topicsE != nil:
		return e.unread(f, e.topicsE)
	case small != "":
		f.Why = "large records are refused: " + small
	case len(e.topics) == 0 && e.broker["message.max.bytes"] != "" && e.broker.number("message.max.bytes") < batchMaxBytes:
		f.Why = fmt.Sprintf("message.max.bytes=%s: large records will be refused", e.broker["message.max.bytes"])
	default:
		return f
	}
	f.Verdict, f.Fix = doctor.Partly, fmt.Sprintf("set max.message.bytes (message.max.bytes on the brokers) to %d or more", batchMaxBytes)
	return f
}

func (e *examination) offsetFact() doctor.Finding {
	f := doctor.Finding{Check: "offsets", Title: "a group that is away keeps its position as long as its messages are kept", Verdict: doctor.Holds}
	if e.brokerE != nil {
		return e.unread(f, e.brokerE)
	}
	keep, longest := time.Duration(e.broker.number("offsets.retention.minutes"))*time.Minute, longestRetention()
	f.Why = "positions are kept " + hours(keep)
	if keep < longest {
		f.Verdict = doctor.Partly
		f.Why = fmt.Sprintf("positions of groups without members are kept %s, messages up to %s: such a group begins anew, and a gap is not seen", hours(keep), hours(longest))
		f.Fix = fmt.Sprintf("set offsets.retention.minutes=%d", int(longest/time.Minute))
	}
	return f
}

func longestRetention() (d time.Duration) {
	for _, domain := range ampybus.Domains() {
		p, _ := ampybus.PolicyFor(domain)
		d = max(d, p.Retention)
	}
	return d
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
