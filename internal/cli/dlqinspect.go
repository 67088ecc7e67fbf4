package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/AmpyFin/ampy-bus/internal/terminal"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// inspectFlags hold which dead letters to show, and how.
type inspectFlags struct {
	deadLetterFlags
	outdir               string
	decode, headers, all bool
}

func (a *app) dlqInspect() *cobra.Command {
	var f inspectFlags
	cmd := &cobra.Command{
		Use:   "dlq-inspect",
		Short: "Show dead letters; it never removes or settles what it shows",
		Example: `  ampybusctl dlq-inspect --subject "ampy.prod.dlq.v1.>" --max 10 --decode
  ampybusctl dlq-inspect --subject "ampy.prod.dlq.v1.bars" --outdir ./dlq_dump -o json`,
	}
	f.add(cmd, 50)
	cmd.Flags().BoolVar(&f.decode, "decode", false, "print payloads as JSON, or why they do not decode")
	cmd.Flags().BoolVar(&f.headers, "headers", false, "print all headers")
	cmd.Flags().BoolVar(&f.all, "all", false, "show those that are settled too")
	cmd.Flags().StringVar(&f.outdir, "outdir", "", "write payloads and headers to files in this `DIR`")
	a.outputFlag(cmd)
	a.connectionFlags(cmd)
	return a.command(cmd, func(cmd *cobra.Command) error { return a.inspect(cmd, &f) }, "subject")
}

func (a *app) inspect(cmd *cobra.Command, f *inspectFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	dump, err := openDump(f.outdir)
	if err != nil {
		return usagef("--outdir: %w", err)
	}
	defer dump.close()
	b, err := a.open(cmd)
	if err != nil {
		return err
	}
	defer b.Close()
	shown := 0
	var failed error
	err = f.each(cmd.Context(), a, b, f.all, func(d *ampybus.DeadLetter) bool {
		failed = a.showDeadLetter(d, f, dump)
		shown++
		return failed == nil && shown < f.max.value
	})
	switch {
	case failed != nil:
		return failed
	case err != nil:
		return err
	case shown == 0:
		return f.nothing()
	}
	return nil
}

func (a *app) showDeadLetter(d *ampybus.DeadLetter, f *inspectFlags, dump *dump) error {
	doc := newDeadLetterDoc(d, f.decode)
	var err error
	if doc.File, err = dump.write(d, doc); err != nil {
		return fmt.Errorf("--outdir: %w", err)
	}
	if a.output == formatJSON {
		return a.printJSON(doc)
	}
	if _, err := fmt.Fprintln(a.out, doc.line(&d.Headers)); err != nil {
		return err
	}
	if doc.Error != "" {
		fmt.Fprintf(a.out, "  error: %s\n", terminal.Escape(doc.Error))
	}
	if f.headers {
		a.printHeaders("  ", d.Record.Headers)
	}
	a.printPayload("  ", doc.messageDoc)
	if doc.File != "" {
		fmt.Fprintf(a.out, "  file: %s\n", terminal.Escape(doc.File))
	}
	return nil
}
