package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/AmpyFin/ampy-bus/internal/terminal"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	controlv1 "github.com/AmpyFin/ampy-bus/pkg/ampybus/control/v1"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/protopayload"
)

// maxReplayWindow refuses a mistyped year: a window of years would replay more
// than anybody waits for. Several requests cover more.
const maxReplayWindow = 366 * 24 * time.Hour

// replayFlags hold what to replay, and why.
type replayFlags struct {
	env, domain, version, subtopic string
	subject                        string
	start, end                     instant
	keys                           []string
	reason, requester, target      string
	max, rate                      number
	basis                          string
	dryRun                         bool
}

func (a *app) replay() *cobra.Command {
	f := replayFlags{max: number{min: 1, max: maxMessages}, rate: number{min: 1, max: 10_000_000}}
	cmd := &cobra.Command{
		Use:   "replay",
		Short: "Ask for messages of the past to be delivered again",
		Long: `Ask for messages of the past to be delivered again, of the window [start, end)
or of some keys. It posts an ampy.control.v1.ReplayRequest on
ampy.{env}.control.v1.replay_requests; a replayer serves it.`,
		Example: `  ampybusctl replay --env prod --domain bars --version v1 --subtopic XNAS.AAPL \
    --start 2025-01-01T00:00:00Z --end 2025-01-01T01:00:00Z --reason "backtest"
  ampybusctl replay --subject "ampy.prod.ticks.v1.trade.>" \
    --start 2025-01-01T09:30:00Z --end 2025-01-01T10:00:00Z --reason "tick-analysis"
  ampybusctl replay --env prod --domain orders --key co_20250905_001 --reason "reconcile"`,
	}
	f.add(cmd)
	a.outputFlag(cmd)
	a.connectionFlags(cmd)
	return a.command(cmd, func(cmd *cobra.Command) error {
		e, err := f.envelope(a)
		if err != nil {
			return err
		}
		if err := a.publishOne(cmd, e); err != nil || a.output == formatJSON {
			return err
		}
		fmt.Fprintf(a.out, "[replay] request_id=%s\n", terminal.Field(e.Headers.DedupeKey))
		return nil
	}, "reason")
}

func (f *replayFlags) add(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringVar(&f.env, "env", "", "`ENV`: "+strings.Join(ampybus.Envs(), ", "))
	fs.StringVar(&f.domain, "domain", "", "`DOMAIN`, such as bars")
	fs.StringVar(&f.version, "version", "v1", "`VERSION` of the topic")
	fs.StringVar(&f.subtopic, "subtopic", "", "`SUBTOPIC`, such as XNAS.AAPL (else all)")
	fs.StringVar(&f.subject, "subject", "", "`PATTERN` of topics, instead of --env, --domain and --subtopic")
	fs.Var(&f.start, "start", "begin of the window, with its zone: 2025-01-01T09:30:00Z")
	fs.Var(&f.end, "end", "end of the window, which does not belong to it")
	fs.StringArrayVar(&f.keys, "key", nil, "partition `KEY` to replay; may be given several times")
	fs.StringVar(&f.reason, "reason", "", "why; it is recorded (`TEXT`)")
	fs.StringVar(&f.requester, "requester", defaultProducer(""), "who asks: a service or role, not a person (`NAME`)")
	fs.StringVar(&f.target, "target", "", "consumer or topic to deliver to; else the original topics (`NAME`)")
	fs.StringVar(&f.basis, "time-basis", "produced-at", "`CLOCK` that the window is measured on: "+strings.Join(timeBases(), ", "))
	fs.Var(&f.max, "max", "deliver at most so many messages")
	fs.Var(&f.rate, "rate", "deliver at most so many a second")
	fs.BoolVar(&f.dryRun, "dry-run", false, "ask the replayer to count only")
	complete(cmd, "env", ampybus.Envs()...)
	complete(cmd, "domain", ampybus.Domains()...)
	complete(cmd, "time-basis", timeBases()...)
}

func timeBases() []string { return []string{"produced-at", "stored-at", "event-time"} }

// envelope makes the request, or says what is wrong with it.
func (f *replayFlags) envelope(a *app) (ampybus.Envelope, error) {
	scope, env, err := f.scope()
	if err != nil {
		return ampybus.Envelope{}, err
	}
	window, err := f.window(a)
	if err != nil {
		return ampybus.Envelope{}, err
	}
	basis, err := f.timeBasis()
	if err != nil {
		return ampybus.Envelope{}, err
	}
	req := &controlv1.ReplayRequest{
		RequestId: ampybus.NewID(), Scope: scope, Window: window, TimeBasis: basis,
		Target: f.target, MaxMessages: int64(f.max.value), MaxRatePerSecond: int32(f.rate.value),
		DryRun: f.dryRun, Reason: f.reason, Requester: f.requester, RequestedAt: timestamppb.Now(),
	}
	for _, key := range f.keys {
		req.Keys = append(req.Keys, &controlv1.ReplayKey{Key: &controlv1.ReplayKey_PartitionKey{PartitionKey: key}})
	}
	topic := ampybus.Topic{Env: env, Domain: ampybus.DomainControl, Version: "v1", Subtopic: "replay_requests"}
	return protopayload.Draft{Topic: topic.String(), Message: req, Producer: f.requester, Source: "ampybusctl", RunID: todaysRun()}.Envelope()
}

// scope reads both forms: the parts of a topic, or a pattern.
func (f *replayFlags) scope() (*controlv1.ReplayScope, string, error) {
	parts := f.env != "" || f.domain != "" || f.subtopic != ""
	switch {
	case parts && f.subject != "":
		return nil, "", usagef("--subject: it takes the place of --env, --domain and --subtopic; give one form")
	case f.subject != "":
		return f.subjectScope()
	case f.env == "" || f.domain == "":
		return nil, "", usagef("say what to replay: --env and --domain (and --subtopic), or --subject")
	}
	pattern := ampybus.Topic{Env: f.env, Domain: f.domain, Version: f.version, Subtopic: or(f.subtopic, ">")}.String()
	if _, err := ampybus.ParsePattern(pattern); err != nil {
		return nil, "", usagef("--env, --domain, --version, --subtopic: %w", err)
	}
	if strings.ContainsAny(f.env+f.domain+f.version, "*>") {
		return nil, "", usagef("--env, --domain, --version: no wildcards here; use --subject")
	}
	topic := &controlv1.TopicScope{Env: f.env, Domain: f.domain, Version: f.version, Subtopic: f.subtopic}
	return &controlv1.ReplayScope{Scope: &controlv1.ReplayScope_Topic{Topic: topic}}, f.env, nil
}

func (f *replayFlags) subjectScope() (*controlv1.ReplayScope, string, error) {
	p, err := ampybus.ParsePattern(f.subject)
	if err != nil {
		return nil, "", err
	}
	scopes := p.Scopes()
	env := scopes[0].Env
	if env != scopes[len(scopes)-1].Env {
		return nil, "", usagef("--subject: it reaches several environments; requests are posted in one: write dev, paper or prod")
	}
	return &controlv1.ReplayScope{Scope: &controlv1.ReplayScope_Subject{Subject: f.subject}}, env, nil
}

// window checks [start, end).
func (f *replayFlags) window(a *app) (*controlv1.TimeWindow, error) {
	start, end := f.start.Time, f.end.Time
	if start.IsZero() && end.IsZero() && len(f.keys) > 0 {
		return nil, nil
	}
	if now := time.Now().UTC().Truncate(time.Second); end.After(now) && start.Before(now) {
		a.warn("--end lies in the future: using now, %s", now.Format(time.RFC3339))
		end = now
	}
	switch {
	case start.IsZero() || end.IsZero():
		return nil, usagef("--start, --end: both are needed, or --key")
	case !start.Before(end):
		return nil, usagef("--end: it is not after --start; the window is [start, end)")
	case end.Sub(start) > maxReplayWindow:
		return nil, usagef("--start, --end: a window of %s; the limit is %s: ask several times", days(end.Sub(start)), days(maxReplayWindow))
	case start.After(time.Now()):
		return nil, usagef("--start: it lies in the future")
	}
	return &controlv1.TimeWindow{Start: timestamppb.New(start), End: timestamppb.New(end)}, nil
}

func days(d time.Duration) string { return fmt.Sprintf("%d days", int(d.Hours()/24)) }

func (f *replayFlags) timeBasis() (controlv1.ReplayTimeBasis, error) {
	switch f.basis {
	case "produced-at":
		return controlv1.ReplayTimeBasis_REPLAY_TIME_BASIS_PRODUCED_AT, nil
	case "stored-at":
		return controlv1.ReplayTimeBasis_REPLAY_TIME_BASIS_STORED_AT, nil
	case "event-time":
		return controlv1.ReplayTimeBasis_REPLAY_TIME_BASIS_EVENT_TIME, nil
	}
	return 0, usagef("--time-basis: %s is not one of %s", terminal.Field(f.basis), strings.Join(timeBases(), ", "))
}
