package kafkabinding

import (
	"errors"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/doctor"
)

// promises judges the delivery promises by what was found.
func (e *examination) promises() []doctor.Finding {
	return []doctor.Finding{
		e.storedStaysStored(),
		{Check: "P2", Title: "stored, failed and uncertain are told apart", Verdict: doctor.Holds, Why: "the transport's own judgement of each answer"},
		{Check: "P3", Title: "a retried publish stores one copy", Verdict: doctor.Holds, Why: "idempotence within a connection; another process looks back two minutes, at most 20,000 records"},
		e.keysKeepOrder(),
		{Check: "P5", Title: "a failing key holds back no other", Verdict: doctor.Holds, Why: "the consumer's own scheduling"},
		e.nothingIsDropped(),
		e.deadLettersAreSafe(),
		{Check: "P8", Title: "effects once, in a transactional store", Verdict: doctor.Holds, Why: "claims give every owner a greater epoch to fence by"},
		{Check: "P9", Title: "replay and redrive add no effect", Verdict: doctor.Unknown, Why: "depends on the retention of each consumer's inbox", Fix: "keep inboxes longer than the replay window"},
		e.gapsAreReported(),
		{Check: "P11", Title: "a consumer's memory is bounded", Verdict: doctor.Holds, Why: "fetches are bounded, and partitions are paused"},
		{Check: "P12", Title: "shutdown finishes or releases all work", Verdict: doctor.Holds, Why: "a member commits and leaves its group on close"},
		e.trafficIsPrivate(),
		e.rolesAreLimited(),
	}
}

// storedStaysStored is as good as the worst of what it rests on.
func (e *examination) storedStaysStored() doctor.Finding {
	f := doctor.Finding{Check: "P1", Title: "what was acknowledged is delivered", Verdict: doctor.Holds, Why: "on two of three replicas before each acknowledgement, and only complete replicas lead"}
	kind, election, replicas, inSync, internal := e.kindFact(), e.electionFact(), e.replicaFact(), e.inSyncFact(), e.internalFact()
	switch {
	case kind.Verdict != doctor.Holds:
		f.Verdict, f.Why, f.Fix = doctor.Fails, kind.Why, kind.Fix
	case election.Verdict == doctor.Fails:
		f.Verdict, f.Why, f.Fix = doctor.Fails, election.Why, election.Fix
	case e.topicsE != nil || internal.Verdict == doctor.Unknown:
		return e.unread(f, errors.Join(e.topicsE, e.brokerE))
	case replicas.Verdict != doctor.Holds:
		f.Verdict, f.Why, f.Fix = doctor.Partly, "a broker process may be killed; a power cut or the loss of a disk may lose acknowledged messages: "+replicas.Why, replicas.Fix
	case inSync.Verdict != doctor.Holds:
		f.Verdict, f.Why, f.Fix = doctor.Partly, "while other replicas are away a message is acknowledged by one broker, and lost with it: "+inSync.Why, inSync.Fix
	case internal.Verdict != doctor.Holds:
		f.Verdict, f.Why, f.Fix = doctor.Partly, "messages stay; the loss of a broker can stop groups or lose their positions: "+internal.Why, internal.Fix
	}
	return f
}

func (e *examination) keysKeepOrder() doctor.Finding {
	f := doctor.Finding{Check: "P4", Title: "effects of a key happen in order", Verdict: doctor.Holds, Why: "one owner per partition by a claim beside its position, fenced by the group's generation"}
	if e.electionFact().Verdict == doctor.Fails {
		f.Verdict, f.Why, f.Fix = doctor.Partly, "an unclean election can put other messages at known positions", "set unclean.leader.election.enable=false"
	}
	return f
}

func (e *examination) nothingIsDropped() doctor.Finding {
	f := doctor.Finding{Check: "P6", Title: "nothing is dropped in silence", Verdict: doctor.Holds, Why: "only retention removes, after the policy's time"}
	compacted := e.which((*topicState).compacted)
	limited := e.which(func(t *topicState) bool {
		return t.conf.number("retention.bytes") > 0 || t.kept() >= 0 && t.kept() < t.policy()
	})
	switch {
	case e.topicsE != nil:
		return e.unread(f, e.topicsE)
	case compacted != "":
		f.Verdict, f.Why, f.Fix = doctor.Fails, "compaction removes all but the last message of a key, and leaves no gap to see: "+compacted, "set cleanup.policy=delete"
	case limited != "":
		f.Verdict, f.Why, f.Fix = doctor.Partly, "these drop sooner than the policy says what nobody has read yet (consumers report the gap): "+limited, "set retention.ms to the policy's, and retention.bytes=-1"
	}
	return f
}

func (e *examination) deadLettersAreSafe() doctor.Finding {
	f := doctor.Finding{Check: "P7", Title: "dead letters are as safe as their originals", Verdict: doctor.Holds, Why: "their topics have no fewer replicas, and as many in sync"}
	if e.topicsE != nil {
		return e.unread(f, e.topicsE)
	}
	var replicas int
	var inSync int64
	for i := range e.topics {
		replicas, inSync = max(replicas, e.topics[i].replicas), max(inSync, e.topics[i].conf.number(minInSync))
	}
	weak := e.which(func(t *topicState) bool {
		return t.is(ampybus.DomainDLQ) && (t.replicas < replicas || t.conf.number(minInSync) < inSync || t.compacted())
	})
	if weak != "" {
		f.Verdict, f.Why, f.Fix = doctor.Partly, "weaker than other topics: "+weak, "give them the replicas, min.insync.replicas and cleanup.policy of the others"
	}
	return f
}

func (e *examination) gapsAreReported() doctor.Finding {
	f := doctor.Finding{Check: "P10", Title: "a gap is reported", Verdict: doctor.Holds, Why: "positions are checked against the partition's beginning"}
	switch offsets := e.offsetFact(); {
	case e.which((*topicState).compacted) != "":
		f.Verdict, f.Why, f.Fix = doctor.Fails, "compaction leaves holes that look like none", "set cleanup.policy=delete"
	case offsets.Verdict != doctor.Holds:
		f.Verdict, f.Why, f.Fix = offsets.Verdict, offsets.Why, offsets.Fix
	}
	return f
}

func (e *examination) trafficIsPrivate() doctor.Finding {
	f := doctor.Finding{Check: "P13", Title: "traffic is encrypted and both sides proven", Verdict: doctor.Holds, Why: "TLS, and " + e.c.identity()}
	switch {
	case !e.c.TLS.used():
		f.Verdict, f.Why, f.Fix = doctor.Fails, "plaintext", "give the brokers a TLS listener, and use kafka+tls:// with TLS.CAFile"
	case e.c.identity() == "nobody":
		f.Verdict, f.Why, f.Fix = doctor.Partly, "TLS; the client proves nothing", "ssl.client.auth=required and TLS.CertFile, TLS.KeyFile, or SASL"
	}
	return f
}

func (e *examination) rolesAreLimited() doctor.Finding {
	f := doctor.Finding{Check: "P14", Title: "a role can do only what it needs", Verdict: doctor.Unknown, Why: "a broker does not tell a client all its permissions", Fix: "give each role ACLs of its own, on the topics of its environment and domains"}
	switch acl := e.aclFact(); {
	case e.c.identity() == "nobody":
		f.Verdict, f.Why, f.Fix = doctor.Fails, "there are no roles", "require logins, and set an authorizer"
	case acl.Verdict == doctor.Fails || acl.Verdict == doctor.Partly:
		f.Verdict, f.Why, f.Fix = doctor.Fails, acl.Why, acl.Fix
	}
	return f
}
