package cli

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/bridge"
)

// bridgeFlags hold what to carry, from where, and until when.
type bridgeFlags struct {
	ends                       bridgeEnds
	group                      string
	start                      start
	startNew                   bool
	max                        number
	once, passRefused, preview bool
	progress                   time.Duration
}

func (a *app) bridge() *cobra.Command {
	f := bridgeFlags{max: number{min: 1, max: maxMessages}, progress: 10 * time.Second}
	cmd := &cobra.Command{
		Use:   "bridge",
		Short: "Carry messages from one broker to another, or compare both",
		Long: `Carry messages from one broker to another, as they are: bytes, headers, topic, key
and the order of each key. It can be stopped or killed at any time and goes on
where it was; a message that it carries again is stored once within the target's
dedupe window, and has the same message_id beyond it. A bridge in each direction
sends nothing round. Dead letters and their settlements are carried too.

The target stamps its own time of storing; the source's is in bridge_stored_at.

A message that the target does not take stops it (exit 5); --pass-refused reports
it, goes on and ends with exit 8. It also ends with 8 when messages were gone on
the source before it came to them. With --once or --max it ends by itself, else
with Ctrl+C or SIGTERM.`,
		Example: `  ampybusctl bridge --from nats://127.0.0.1:4222 --to kafka://127.0.0.1:9092 --env prod
  ampybusctl bridge --from nats://127.0.0.1:4222 --to kafka://127.0.0.1:9092 --env prod --once
  ampybusctl bridge verify --from nats://127.0.0.1:4222 --to kafka://127.0.0.1:9092 --env prod`,
	}
	f.ends.add(a, cmd)
	fs := cmd.Flags()
	fs.StringVar(&f.group, "group", "", "durable `GROUP` on the source that holds the bridge's position (else one named after the target and what is carried)")
	fs.Var(&f.start, "start", "where a new group begins: a time, so long ago, or all that is held (the default)")
	fs.BoolVar(&f.startNew, "new", false, "a new group begins with what comes from now on")
	fs.Var(&f.max, "max", "end after so many messages")
	fs.BoolVar(&f.once, "once", false, "end when what is stored now is carried")
	fs.BoolVar(&f.passRefused, "pass-refused", false, "go on behind a message that the target does not take")
	fs.BoolVar(&f.preview, "dry-run", false, "count what would be carried, and change nothing")
	fs.Var(wait{&f.progress}, "progress", "print progress to stderr this often")
	a.outputFlag(cmd)
	run := a.command(cmd, func(cmd *cobra.Command) error {
		c, err := f.config()
		if err != nil {
			return err
		}
		return a.runBridge(cmd, &f, c)
	}, "from", "to")
	run.AddCommand(a.bridgeVerify())
	return run
}

// config is what the flags say, without the brokers.
func (f *bridgeFlags) config() (c bridge.Config, err error) {
	if f.start.given() && f.startNew {
		return c, usagef("--start, --new: give one of them")
	}
	if f.once && f.startNew {
		return c, usagef("--once, --new: together they carry nothing")
	}
	c = bridge.Config{
		FromName: f.ends.from.name, ToName: f.ends.to.name, Group: f.group,
		Start: f.start.at, StartNew: f.startNew, Max: f.max.value, Once: f.once, PassRefused: f.passRefused,
	}
	c.Pattern, c.Exclude, err = f.ends.selection()
	return c, err
}
