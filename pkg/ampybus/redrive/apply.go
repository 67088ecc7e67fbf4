package redrive

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/time/rate"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// Options configure Apply.
type Options struct {
	// Reason and Requester are recorded with every settlement; both are required.
	Reason    string
	Requester string // a service or role, not a person
	// Rate bounds dead letters per second. Zero: no bound.
	Rate float64
	// StopOnFailure ends at the first one that could not be sent.
	StopOnFailure bool
	// Force sends back what was redriven as often as the policy allows.
	Force bool
	// DryRun sends nothing and says what would happen.
	DryRun bool
	// Payloads replaces payloads, by origin, for messages that had to be fixed.
	Payloads map[string][]byte
	// Progress is told each result as it is known. Nil: nobody.
	Progress func(Result)
}

// Outcome is what became of one entry.
type Outcome string

// Outcomes.
const (
	Redriven Outcome = "redriven" // stored on its topic, and settled
	Refused  Outcome = "refused"  // must not be sent: see the error
	Failed   Outcome = "failed"   // could not be sent, or that is uncertain
	Held     Outcome = "held"     // an earlier one of its key was not sent
	Gone     Outcome = "gone"     // settled by somebody else meanwhile, or expired
	Changed  Outcome = "changed"  // its bytes are not those that were planned
	Would    Outcome = "would"    // dry run: it would be sent
	Skipped  Outcome = "skipped"  // behind the end of the run
)

// Result is one entry's outcome.
type Result struct {
	Entry
	Outcome   Outcome       `json:"outcome"`
	Error     string        `json:"error,omitempty"`
	NewOrigin string        `json:"new_origin,omitempty"`
	Took      time.Duration `json:"took_ns,omitempty"`
}

// Report says what became of every entry of a plan, in its order.
type Report struct {
	Reason    string          `json:"reason"`
	Requester string          `json:"requester"`
	DryRun    bool            `json:"dry_run,omitempty"`
	Started   time.Time       `json:"started"`
	Ended     time.Time       `json:"ended"`
	Counts    map[Outcome]int `json:"counts"`
	Results   []Result        `json:"results"`
}

// Complete reports that every entry was sent (or would be), or is gone.
func (r *Report) Complete() bool {
	return r.Counts[Redriven]+r.Counts[Would]+r.Counts[Gone] == len(r.Results)
}

// Apply sends the plan's dead letters back, oldest first, each key in order.
// The report is complete also when the error is not nil: that is the broker's,
// or ctx's. A failure of single entries is no error; see Report.Complete.
// After a crash, make a new plan: what was settled is not in it, and what was
// sent and not yet settled is sent once more, which consumers drop by its
// message_id.
func Apply(ctx context.Context, bus *ampybus.Bus, p *Plan, o Options) (*Report, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	a := &application{bus: bus, o: o, held: make(map[string]bool), limit: rate.NewLimiter(rate.Inf, 1)}
	if o.Rate > 0 {
		a.limit = rate.NewLimiter(rate.Limit(o.Rate), 1)
	}
	report := &Report{
		Reason: o.Reason, Requester: o.Requester, DryRun: o.DryRun,
		Started: time.Now().UTC(), Counts: make(map[Outcome]int), Results: []Result{},
	}
	letters, err := a.fetch(ctx, p)
	for _, e := range p.Entries {
		r := Result{Entry: e, Outcome: Skipped}
		if err == nil {
			r, err = a.one(ctx, e, letters[e.Origin])
		}
		report.Results = append(report.Results, r)
		report.Counts[r.Outcome]++
		if o.Progress != nil {
			o.Progress(r)
		}
	}
	report.Ended = time.Now().UTC()
	if errors.Is(err, errStopped) {
		err = nil
	}
	return report, err
}

// errStopped ends a run at its first failure.
var errStopped = errors.New("stopped at the first failure")

func (o Options) validate() error {
	var faults []error
	if o.Reason == "" {
		faults = append(faults, &ampybus.FieldError{Field: "reason", Problem: "missing", Fix: "say why the dead letters are sent back"})
	}
	if o.Requester == "" {
		faults = append(faults, &ampybus.FieldError{Field: "requester", Problem: "missing", Fix: "name the service or role, such as ops-tooling@cli-1"})
	}
	if o.Rate < 0 {
		faults = append(faults, &ampybus.FieldError{Field: "rate", Problem: "negative", Fix: "use 0 for no bound"})
	}
	return errors.Join(faults...)
}

// application is one Apply.
type application struct {
	bus   *ampybus.Bus
	o     Options
	held  map[string]bool // target and key of what was not sent
	limit *rate.Limiter
}

func (a *application) fetch(ctx context.Context, p *Plan) (map[string]*ampybus.DeadLetter, error) {
	letters := make(map[string]*ampybus.DeadLetter, len(p.Entries))
	for _, e := range p.Entries {
		letters[e.Origin] = nil
	}
	err := open(ctx, a.bus, p.Pattern, func(d *ampybus.DeadLetter) (bool, error) {
		if _, planned := letters[d.Origin()]; planned {
			letters[d.Origin()] = d
		}
		return true, nil
	})
	return letters, err
}

// one applies one entry. Its error ends the run.
func (a *application) one(ctx context.Context, e Entry, d *ampybus.DeadLetter) (Result, error) {
	r := Result{Entry: e}
	lane := e.Target + "\x00" + e.Key
	switch {
	case d == nil:
		r.Outcome = Gone
		return r, nil
	case a.held[lane]:
		r.Outcome, r.Error = Held, "an earlier message of its key was not sent"
		return r, nil
	case d.Headers.PayloadHash != e.Hash || d.Headers.MessageID != e.MessageID || d.Target != e.Target:
		r.Outcome, r.Error = Changed, "the dead letter at this position is not the one that was planned"
	case a.o.DryRun:
		a.would(&r, d)
	default:
		if err := a.limit.Wait(ctx); err != nil {
			r.Outcome = Skipped
			return r, fmt.Errorf("redrive: %w", err)
		}
		a.send(ctx, &r, d)
	}
	if r.Outcome == Redriven || r.Outcome == Would {
		return r, nil
	}
	a.held[lane] = true
	if a.o.StopOnFailure {
		return r, errStopped
	}
	return r, ctx.Err()
}

func (a *application) would(r *Result, d *ampybus.DeadLetter) {
	r.Outcome = Would
	if err := d.Redrivable(a.o.Force); err != nil {
		r.Outcome, r.Error = Refused, err.Error()
	}
}

func (a *application) send(ctx context.Context, r *Result, d *ampybus.DeadLetter) {
	started := time.Now()
	origin, err := a.bus.Redrive(ctx, d, ampybus.RedriveOptions{
		Reason: a.o.Reason, Requester: a.o.Requester, Force: a.o.Force,
		Payload: a.o.Payloads[r.Origin],
	})
	r.Took = time.Since(started)
	r.NewOrigin = origin
	switch {
	case err == nil:
		r.Outcome = Redriven
	case errors.Is(err, ampybus.ErrRedriveRefused):
		r.Outcome, r.Error = Refused, err.Error()
	default:
		r.Outcome, r.Error = Failed, err.Error()
	}
}
