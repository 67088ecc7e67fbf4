package kafkabinding

import (
	"errors"
	"fmt"
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
