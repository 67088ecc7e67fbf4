package natsbinding

import (
	"fmt"
	"strings"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/doctor"
)

// promises judges the delivery promises by what was found.
func (e *examination) promises() []doctor.Finding {
	return []doctor.Finding{
		e.storedStaysStored(),
		{Check: "P2", Title: "stored, failed and uncertain are told apart", Verdict: doctor.Holds, Why: "the transport's own acknowledgements"},
		e.retriesStoreOneCopy(),
		e.keysKeepOrder(),
		{Check: "P5", Title: "a failing key holds back no other", Verdict: doctor.Holds, Why: "the consumer's own scheduling"},
		e.nothingIsDropped(),
		e.deadLettersAreSafe(),
		{Check: "P8", Title: "effects once, in a transactional store", Verdict: doctor.Holds, Why: "leases give every owner a greater epoch to fence by"},
		{Check: "P9", Title: "replay and redrive add no effect", Verdict: doctor.Unknown, Why: "depends on the retention of each consumer's inbox", Fix: "keep inboxes longer than the replay window"},
		{Check: "P10", Title: "a gap is reported", Verdict: doctor.Holds, Why: "positions are checked against the stream's beginning"},
		{Check: "P11", Title: "a consumer's memory is bounded", Verdict: doctor.Holds, Why: "pulls are bounded in records and bytes"},
		{Check: "P12", Title: "shutdown finishes or releases all work", Verdict: doctor.Holds, Why: "leases are given away on close"},
		e.trafficIsPrivate(),
		e.rolesAreLimited(),
	}
}

func (e *examination) storedStaysStored() doctor.Finding {
	f := doctor.Finding{Check: "P1", Title: "what was acknowledged is delivered"}
	var memory []string
	least := 3
	for _, s := range e.streams {
		least = min(least, s.Replicas)
		if s.Memory {
			memory = append(memory, s.Name)
		}
	}
	if e.cluster == "" {
		least = 1
	}
	switch {
	case len(memory) > 0:
		f.Verdict, f.Why, f.Fix = doctor.Fails, "kept in memory, gone with the server: "+strings.Join(memory, ", "), "make these streams again with file storage"
	case e.sync.err != nil:
		f.Verdict, f.Why = doctor.Partly, "any process may be killed; whether a power cut loses acknowledged messages is not known"
		f.Fix = "give the monitoring URL; see sync and replicas"
	case !e.sync.always:
		f.Verdict, f.Why, f.Fix = doctor.Partly, fmt.Sprintf("any process may be killed; a power cut loses up to %s of acknowledged messages", e.sync.interval), "sync_interval: always"
	case least < 3:
		f.Verdict, f.Why, f.Fix = doctor.Partly, "any process may be killed and power may fail; the loss of a server's disk loses messages", "three replicas"
	case !e.resets:
		f.Verdict, f.Why, f.Fix = doctor.Partly, "as promised, but servers before 2.14 are not what it was proven on", "nats-server 2.14 or later"
	default:
		f.Verdict, f.Why = doctor.Holds, "three replicas in files, synced before each acknowledgement"
	}
	return f
}

func (e *examination) retriesStoreOneCopy() doctor.Finding {
	f := doctor.Finding{Check: "P3", Title: "a retried publish stores one copy", Verdict: doctor.Holds, Why: "publish ids, within each stream's window"}
	var adopted, short []string
	for _, s := range e.streams {
		if s.Adopted {
			adopted = append(adopted, s.Name)
		} else if s.wantWindow > s.Window {
			short = append(short, fmt.Sprintf("%s %s", s.Name, s.Window))
		}
	}
	switch {
	case len(adopted) > 0:
		f.Verdict = doctor.Fails
		f.Why = "adopted streams get no publish ids, so a retry after an uncertain outcome may store a second copy; consumers dedupe by message_id: " + strings.Join(adopted, ", ")
		f.Fix = "once no 1.x program uses them, delete them; the bus then makes a stream per domain"
	case len(short) > 0:
		f.Verdict, f.Why = doctor.Partly, "windows shorter than the domain's policy: "+strings.Join(short, ", ")
		f.Fix = "nats stream edit NAME --dupe-window"
	}
	return f
}

func (e *examination) keysKeepOrder() doctor.Finding {
	f := doctor.Finding{Check: "P4", Title: "effects of a key happen in order", Verdict: doctor.Holds, Why: "one owner per lane by lease, delivery reset to the floor at each change"}
	switch {
	case e.leases != nil:
		f.Verdict, f.Why, f.Fix = doctor.Fails, "no leases: "+e.leases.Error(), "allow this identity the bucket "+leaseBucket
	case !e.resets:
		f.Why = "one owner per lane by lease, the durable made again at the floor at each change"
	}
	return f
}

func (e *examination) nothingIsDropped() doctor.Finding {
	f := doctor.Finding{Check: "P6", Title: "nothing is dropped in silence", Verdict: doctor.Holds, Why: "no delivery limit; full streams refuse"}
	var drop []string
	for _, s := range e.streams {
		if s.Limited && !s.RefusesWhenFull {
			drop = append(drop, s.Name)
		}
	}
	switch {
	case len(e.alien) > 0:
		f.Verdict, f.Why = doctor.Partly, "durables of other programs give a message up after MaxDeliver attempts: "+strings.Join(e.alien, ", ")
		f.Fix = "set MaxDeliver to -1 on them"
	case len(drop) > 0:
		f.Verdict, f.Why = doctor.Partly, "when full these drop what nobody has read yet (consumers report the gap): "+strings.Join(drop, ", ")
		f.Fix = "nats stream edit NAME --discard new"
	}
	return f
}

func (e *examination) deadLettersAreSafe() doctor.Finding {
	f := doctor.Finding{Check: "P7", Title: "dead letters are as safe as their originals", Verdict: doctor.Holds, Why: "their streams have no fewer replicas"}
	most := 1
	for _, s := range e.streams {
		most = max(most, s.Replicas)
	}
	var weak []string
	for _, s := range e.streams {
		if s.DeadLetters && s.Replicas < most {
			weak = append(weak, s.Name)
		}
	}
	if len(weak) > 0 {
		f.Verdict, f.Why, f.Fix = doctor.Partly, "fewer replicas than other streams: "+strings.Join(weak, ", "), fmt.Sprintf("nats stream edit NAME --replicas %d", most)
	}
	return f
}

func (e *examination) trafficIsPrivate() doctor.Finding {
	f := doctor.Finding{Check: "P13", Title: "traffic is encrypted and both sides proven", Verdict: doctor.Holds, Why: "TLS with a client certificate"}
	switch {
	case !e.tls:
		f.Verdict, f.Why, f.Fix = doctor.Fails, "plaintext", "enable TLS on the server, and give TLS.CAFile, TLS.CertFile and TLS.KeyFile"
	case e.c.TLS.CertFile == "":
		f.Verdict, f.Why, f.Fix = doctor.Partly, "TLS; the client has no certificate", "verify: true on the server, and TLS.CertFile, TLS.KeyFile here"
	}
	return f
}

func (e *examination) rolesAreLimited() doctor.Finding {
	f := doctor.Finding{Check: "P14", Title: "a role can do only what it needs"}
	if e.c.identity() == "nobody" {
		f.Verdict, f.Why, f.Fix = doctor.Fails, "there are no roles", "give the server users with permissions"
		return f
	}
	f.Verdict, f.Why, f.Fix = doctor.Unknown, "a server does not tell a client its permissions", "use the role templates, and an account per environment"
	return f
}
