package cli

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/AmpyFin/ampy-bus/internal/terminal"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/doctor"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/kafkabinding"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/natsbinding"
)

// promise is the name of a delivery promise; other findings are facts.
var promise = regexp.MustCompile(`^P[0-9]{1,2}$`)

func (a *app) doctor() *cobra.Command {
	var (
		monitor  string
		required []string
	)
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check which delivery promises hold on the connected broker",
		Long: `Check which delivery promises hold on the connected broker, why, and how to get
the rest. It changes nothing. Exit 3: a promise does not hold, or holds in part;
with --require only those named count.`,
		Example: `  ampybusctl doctor
  ampybusctl doctor --monitor http://127.0.0.1:8222 --require P1,P3,P4
  ampybusctl doctor --bus kafka://127.0.0.1:9092`,
	}
	if a.prog.Kafka {
		cmd.Example = `  kafkabusctl doctor
  kafkabusctl doctor --brokers 127.0.0.1:9092 --require P1,P3,P4`
	} else {
		cmd.Flags().StringVar(&monitor, "monitor", "", "`URL` of the NATS server's monitoring pages, which alone tell how it writes to the disk")
	}
	cmd.Flags().StringSliceVar(&required, "require", nil, "promises that must hold, such as P1,P4 (else all); `LIST` with commas")
	a.outputFlag(cmd)
	a.connectionFlags(cmd)
	return a.command(cmd, func(cmd *cobra.Command) error {
		for _, p := range required {
			if !promise.MatchString(p) {
				return usagef("--require: %s is no promise; write P1 to P17", terminal.Field(p))
			}
		}
		findings, err := a.examine(cmd, monitor)
		if err != nil {
			return err
		}
		return a.showFindings(findings, required)
	})
}

// examine connects once, so that a broker that cannot be reached ends every
// command in the same way, and then asks the binding.
func (a *app) examine(cmd *cobra.Command, monitor string) ([]doctor.Finding, error) {
	t, err := a.connect(cmd)
	if err != nil {
		return nil, err
	}
	name := t.Name()
	if err := t.Close(cmd.Context()); err != nil {
		return nil, err
	}
	switch t.(type) {
	case *natsbinding.Transport:
		a.reached.NATS.MonitorURL = monitor
		return natsbinding.Doctor(cmd.Context(), a.reached.NATS), nil
	case *kafkabinding.Transport:
		if monitor != "" {
			return nil, usagef("--monitor: Kafka has no such pages")
		}
		return kafkabinding.Doctor(cmd.Context(), a.reached.Kafka), nil
	}
	return nil, usagef("--bus: doctor looks at NATS and Kafka, not at %s", name)
}

// doctorDoc is the report as JSON.
type doctorDoc struct {
	OK       bool         `json:"ok"`
	Findings []findingDoc `json:"findings"`
}

type findingDoc struct {
	Check   string `json:"check"`
	Verdict string `json:"verdict"`
	Title   string `json:"title"`
	Why     string `json:"why"`
	Fix     string `json:"fix,omitempty"`
}

func (a *app) showFindings(findings []doctor.Finding, required []string) error {
	broken := unkept(findings, required)
	if a.output == formatJSON {
		doc := doctorDoc{OK: len(broken) == 0}
		for _, f := range findings {
			doc.Findings = append(doc.Findings, findingDoc{f.Check, string(f.Verdict), f.Title, f.Why, f.Fix})
		}
		if err := a.printJSON(doc); err != nil {
			return err
		}
	} else {
		for _, f := range findings {
			a.showFinding(f)
		}
	}
	if len(broken) > 0 {
		return exitf(ExitCheck, "not kept in full here: %s", strings.Join(broken, ", "))
	}
	return nil
}

func (a *app) showFinding(f doctor.Finding) {
	fmt.Fprintf(a.out, "%-8s %-12s %s\n", terminal.Escape(string(f.Verdict)), terminal.Escape(f.Check), terminal.Escape(f.Title))
	fmt.Fprintf(a.out, "%22s%s\n", "", terminal.Escape(f.Why))
	if f.Fix != "" && f.Verdict != doctor.Holds {
		fmt.Fprintf(a.out, "%22sfix: %s\n", "", terminal.Escape(f.Fix))
	}
}

// unkept lists the promises that do not hold in full: the required ones, which
// must not be unknown either, or all that are known.
func unkept(findings []doctor.Finding, required []string) []string {
	var broken []string
	for _, f := range findings {
		kept := f.Verdict == doctor.Holds || len(required) == 0 && f.Verdict == doctor.Unknown
		counts := len(required) == 0 || slices.Contains(required, f.Check)
		if promise.MatchString(f.Check) && counts && !kept {
			broken = append(broken, f.Check)
		}
	}
	for _, p := range required {
		if !slices.ContainsFunc(findings, func(f doctor.Finding) bool { return f.Check == p }) {
			broken = append(broken, p)
		}
	}
	return broken
}
