package inbox

import (
	"context"
	"fmt"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// Window is how long an inbox of the given domains must remember a message, by
// the policy table: a dead letter may be redriven on the last day of its
// retention, its copy delivered on the last day of the log's, and a day is for
// clocks and for the grain of what was seen when. No domains: of every domain.
// A broker or an archive that keeps records longer needs a longer one.
func Window(domains ...string) time.Duration {
	if len(domains) == 0 {
		domains = ampybus.Domains()
	}
	var log time.Duration
	for _, d := range domains {
		if p, ok := ampybus.PolicyFor(d); ok {
			log = max(log, p.Retention)
		}
	}
	dead, _ := ampybus.PolicyFor(ampybus.DomainDLQ)
	return log + dead.Retention + refreshEvery
}

// purgeBatch bounds how long one transaction of Purge keeps others from writing.
const purgeBatch = 10_000

// Purge forgets the messages that were last seen longer than Config.Retention
// ago, and returns how many rows went. Should one of them come again, it is
// applied again. It works in batches beside the handlers, and goes on where it
// was when called again after an error. Call it about daily.
func (in *Inbox) Purge(ctx context.Context) (int64, error) {
	before := time.Now().Add(-in.cfg.Retention).UnixMilli()
	var total int64
	for _, statement := range []string{in.sql.purge, in.sql.purgeKeys} {
		for {
			n, err := in.purge(ctx, statement, before)
			total += n
			if err != nil {
				return total, fmt.Errorf("purge inbox of group %s: %w", in.cfg.Group, err)
			}
			if n < purgeBatch {
				break
			}
		}
	}
	return total, nil
}

func (in *Inbox) purge(ctx context.Context, statement string, before int64) (int64, error) {
	if err := in.takeWriter(ctx); err != nil {
		return 0, err
	}
	defer in.releaseWriter()
	return affected(in.db.ExecContext(ctx, statement, in.cfg.Group, before, int64(purgeBatch)))
}
