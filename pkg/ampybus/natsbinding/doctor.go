package natsbinding

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/doctor"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// Doctor connects with c and reports which of the delivery promises hold on
// this broker, why, and how to get the rest. It changes nothing. An error is
// never returned: what cannot be reached is a finding, and then the last one.
func Doctor(ctx context.Context, c Config) []doctor.Finding {
	t, err := Dial(c)
	if err != nil {
		return []doctor.Finding{unreachable(c, err)}
	}
	defer func() { _ = t.Close(ctx) }()
	e := t.examine(ctx)
	return doctor.OfTheBus(append(e.facts(), e.promises()...))
}

func unreachable(c Config, err error) doctor.Finding {
	f := doctor.Finding{Check: "connect", Title: "the broker is reachable", Verdict: doctor.Fails, Why: err.Error()}
	switch {
	case errors.Is(err, driver.ErrAuth):
		f.Title, f.Fix = "the broker accepts the credentials", "correct the credentials: "+c.identity()
	case errors.Is(err, driver.ErrConfig):
		f.Title, f.Fix = "the configuration can work", "correct what the text names"
	case errors.Is(err, driver.ErrPermission):
		f.Title, f.Fix = "this identity may use the bus", "extend the role's permissions"
	default:
		f.Fix = "start a server: ampybusctl server, or nats-server -js"
	}
	return f
}

// examination is what was learned about a broker, before judging.
type examination struct {
	c        Config
	url      string
	version  string
	cluster  string
	servers  int
	tls      bool
	payload  int64
	rtt      time.Duration
	resets   bool // consumers can be reset
	batches  bool
	old      bool // before 2.10
	account  *jetstream.AccountInfo
	streams  []StreamState
	streamsE error
	leases   error // of opening the lease bucket; nil also when it is still to be made
	alien    []string
	sync     syncSetting
	clock    clockReading
}

func (t *Transport) examine(ctx context.Context) *examination {
	e := &examination{
		c: t.cfg, url: t.nc.ConnectedUrlRedacted(), version: t.nc.ConnectedServerVersion(),
		cluster: t.nc.ConnectedClusterName(), servers: max(1, len(t.nc.Servers())),
		payload: t.nc.MaxPayload(),
		resets:  t.atLeast(2, 14), batches: t.atLeast(2, 12), old: !t.atLeast(2, 10),
	}
	_, err := t.nc.TLSConnectionState()
	e.tls = err == nil
	e.rtt, _ = t.nc.RTT()
	_ = t.guard(ctx, "$JS.API.INFO", func(ctx context.Context) (err error) {
		e.account, err = t.js.AccountInfo(ctx)
		return err
	})
	e.streams, e.streamsE = t.streams(ctx)
	_, e.leases = t.js.KeyValue(ctx, leaseBucket)
	if errors.Is(e.leases, jetstream.ErrBucketNotFound) {
		e.leases = nil
	}
	e.alien = t.alienDurables(ctx, e.streams)
	e.sync = readSync(ctx, t.cfg.MonitorURL)
	e.clock = t.readClock(ctx, e.streams)
	return e
}

// alienDurables lists durables on the bus's streams that lose messages: the
// server stops delivering a message after MaxDeliver attempts.
func (t *Transport) alienDurables(ctx context.Context, streams []StreamState) []string {
	var found []string
	for _, s := range streams {
		ctx, cancel := context.WithTimeout(ctx, apiTimeout)
		stream, err := t.js.Stream(ctx, s.Name)
		if err == nil {
			list := stream.ListConsumers(ctx)
			for info := range list.Info() {
				if info.Config.Durable != "" && info.Config.MaxDeliver > 0 {
					found = append(found, s.Name+"/"+info.Name)
				}
			}
		}
		cancel()
	}
	return found
}

// facts are what the judgement rests on.
func (e *examination) facts() []doctor.Finding {
	return []doctor.Finding{
		{Check: "server", Title: "the broker is reachable", Verdict: doctor.Holds, Why: fmt.Sprintf("nats-server %s at %s, round trip %s", e.version, e.url, e.rtt.Round(time.Microsecond))},
		e.versionFact(),
		e.identityFact(),
		e.syncFact(),
		e.replicaFact(),
		e.streamFact(),
		e.batchFact(),
		e.payloadFact(),
		e.clockFact(),
	}
}

func (e *examination) versionFact() doctor.Finding {
	f := doctor.Finding{Check: "version", Title: "the server has what the bus uses", Verdict: doctor.Holds, Why: e.version + ": consumer resets, batches"}
	switch {
	case e.old:
		f.Verdict, f.Why, f.Fix = doctor.Fails, e.version+" is older than 2.10", "upgrade nats-server to 2.14 or later"
	case !e.resets:
		f.Verdict = doctor.Partly
		f.Why = e.version + ": without consumer resets (2.14) a takeover deletes and makes the group's durable again; order and position hold, and monitoring sees a new consumer each time"
		f.Fix = "upgrade nats-server to 2.14 or later"
	}
	return f
}

func (e *examination) identityFact() doctor.Finding {
	who := e.c.identity()
	f := doctor.Finding{Check: "identity", Title: "the broker knows who this is", Verdict: doctor.Holds, Why: who}
	if who == "nobody" {
		f.Verdict, f.Why, f.Fix = doctor.Fails, "connected without credentials: anybody can", "give the server users, and this client one"
	}
	return f
}

func (e *examination) syncFact() doctor.Finding {
	f := doctor.Finding{Check: "sync", Title: "an acknowledgement means: on the disk"}
	switch {
	case e.sync.err != nil:
		f.Verdict, f.Why = doctor.Unknown, "not readable, so durability is not claimed: "+e.sync.err.Error()
		f.Fix = "give the monitoring URL (MonitorURL), and set jetstream { sync_interval: always } on every server"
	case e.sync.always:
		f.Verdict, f.Why = doctor.Holds, "sync_interval: always"
	default:
		f.Verdict = doctor.Fails
		f.Why = fmt.Sprintf("sync_interval: %s: a power cut loses what was acknowledged in that time", e.sync.interval)
		f.Fix = "set jetstream { sync_interval: always } on every server"
	}
	return f
}

func (e *examination) replicaFact() doctor.Finding {
	f := doctor.Finding{Check: "replicas", Title: "streams survive the loss of a server", Verdict: doctor.Holds}
	var single []string
	for _, s := range e.streams {
		if s.Replicas < 3 {
			single = append(single, s.Name)
		}
	}
	switch {
	case e.cluster == "":
		f.Verdict, f.Why, f.Fix = doctor.Fails, "a single server", "run a cluster of three; new streams then get three replicas"
	case len(single) > 0:
		f.Verdict, f.Why, f.Fix = doctor.Partly, "fewer than three replicas: "+strings.Join(single, ", "), "nats stream edit NAME --replicas 3"
	default:
		f.Why = fmt.Sprintf("cluster %s, %d servers known, three replicas", e.cluster, e.servers)
	}
	return f
}

func (e *examination) streamFact() doctor.Finding {
	f := doctor.Finding{Check: "streams", Title: "streams are as the bus makes them", Verdict: doctor.Holds}
	if e.streamsE != nil {
		f.Verdict, f.Why, f.Fix = doctor.Unknown, e.streamsE.Error(), "allow $JS.API.STREAM.NAMES and $JS.API.STREAM.INFO.>"
		return f
	}
	var notes []string
	for _, s := range e.streams {
		notes = append(notes, s.remarks()...)
	}
	f.Why = fmt.Sprintf("%d streams", len(e.streams))
	if len(notes) > 0 {
		f.Verdict, f.Why, f.Fix = doctor.Partly, strings.Join(notes, "; "), "adjust the streams named, or let the bus make its own"
	}
	return f
}

func (e *examination) payloadFact() doctor.Finding {
	const room = 1<<20 + 16<<10 // the contract's largest payload and headers
	f := doctor.Finding{Check: "max_payload", Title: "the largest envelope fits", Verdict: doctor.Holds, Why: fmt.Sprintf("%d bytes", e.payload)}
	if e.payload < room {
		f.Verdict = doctor.Partly
		f.Why = fmt.Sprintf("%d bytes: payloads of nearly 1 MiB must go to a blob store", e.payload)
		f.Fix = fmt.Sprintf("set max_payload to %d or more", room)
	}
	return f
}
