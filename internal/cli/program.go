package cli

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/AmpyFin/ampy-bus/internal/terminal"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// Program is one binary: a name, commands, and the brokers it can reach.
type Program struct {
	Name  string
	Short string
	// Commands are in the order of the help. A program of one command has that
	// as its Root instead.
	Commands []Command
	Root     Command
	// Kafka gives commands the flags and the default broker of Kafka.
	Kafka bool
	// Dial connects to a broker. Nil: by the URL's scheme.
	Dial func(ctx context.Context, e Endpoint) (driver.Transport, error)
}

// Command makes one command of a program.
type Command func(*app) *cobra.Command

// Ampybusctl is the command line of the bus, on NATS unless a URL says Kafka.
func Ampybusctl() Program {
	return Program{
		Name:  "ampybusctl",
		Short: "Publish, read, inspect and repair messages on the ampy bus",
		Commands: []Command{
			(*app).server, (*app).doctor,
			(*app).pubEmpty, (*app).pub, (*app).publishFixture, (*app).sub,
			(*app).dlqInspect, (*app).dlqRedrive, (*app).dlqDiscard, (*app).dlq,
			(*app).replay, (*app).bridge, (*app).listStreams, (*app).lag,
			(*app).validateFixture, (*app).benchPub,
			(*app).completion, (*app).version,
		},
	}
}

// Benchnats is the benchmark of publishing to NATS.
func Benchnats() Program {
	return Program{
		Name:  "benchnats",
		Short: "Measure how fast the bus publishes to NATS",
		Root:  (*app).benchNATS,
	}
}

// app is one invocation of a program.
type app struct {
	prog   Program
	in     io.Reader
	out    io.Writer // escapes what a terminal would obey
	err    io.Writer // likewise
	screen io.Writer // where progress may be drawn; nil when nobody looks
	typed  bool      // a person, not a file, stands behind in

	conn connection
	// partitions and replicas of Kafka topics that the binding makes.
	partitions, replicas int
	linger               time.Duration // of a benchmark on Kafka
	reached              Endpoint      // set by connect
	output               format
	timeout              time.Duration
	level                logLevel
	logger               *slog.Logger
	started              bool // flags and arguments are in order
}

// Main runs p with args, which do not hold the program's name, and returns the
// exit code. The end of ctx stops a command that would run for ever.
func Main(ctx context.Context, p Program, args []string, s Streams) int {
	out, errs := terminal.NewWriter(s.Out), terminal.NewWriter(s.Err)
	a := &app{prog: p, in: s.In, out: out, err: errs, typed: s.InTerminal}
	if s.ErrTerminal {
		a.screen = s.Err
	}
	cmd, err := a.execute(ctx, args)
	a.report(cmd, err)
	_ = out.Flush()
	_ = errs.Flush()
	return exitCode(err)
}

func (a *app) execute(ctx context.Context, args []string) (*cobra.Command, error) {
	root := a.root()
	if err := knownCommand(root, args); err != nil {
		return root, err
	}
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err != nil && !a.started && exitCode(err) != ExitUsage {
		err = &statusError{ExitUsage, err}
	}
	return cmd, err
}

// root is the program's command tree.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:     a.prog.Name,
		Short:   a.prog.Short,
		Long:    a.prog.Short + ".\n\n" + exitCodes,
		Example: "  " + a.prog.Name + " COMMAND --help",
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	if a.prog.Root != nil {
		root = a.prog.Root(a)
	}
	for _, command := range a.prog.Commands {
		root.AddCommand(command(a))
	}
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SuggestionsMinimumDistance = maxTypingErrors
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetFlagErrorFunc(flagError)
	root.SetUsageFunc(usage)
	return root
}
