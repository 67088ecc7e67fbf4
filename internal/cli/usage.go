package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// connectionFlag marks flags that say how to reach a broker: the same for many
// commands, so help lists them last.
const connectionFlag = "ampy_connection"

// command completes cmd: no arguments, the flags that every command has, and
// required flags checked before run is called.
func (a *app) command(cmd *cobra.Command, run func(cmd *cobra.Command) error, required ...string) *cobra.Command {
	cmd.Args = noArguments
	cmd.Flags().SortFlags = false
	cmd.DisableFlagsInUseLine = true
	cmd.Use += " [flags]"
	cmd.Example = strings.NewReplacer("ampybusctl ", a.prog.Name+" ", "_ampybusctl", "_"+a.prog.Name).Replace(cmd.Example)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := needFlags(cmd, required); err != nil {
			return err
		}
		a.started = true
		a.logger = newLogger(a.err, a.level)
		ctx, cancel := withTimeout(cmd.Context(), a.timeout)
		defer cancel()
		cmd.SetContext(ctx)
		return run(cmd)
	}
	return cmd
}

func needFlags(cmd *cobra.Command, required []string) error {
	var missing []string
	for _, name := range required {
		if f := cmd.Flags().Lookup(name); f.Value.String() == "" {
			missing = append(missing, "--"+name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return usagef("missing: %s", strings.Join(missing, ", "))
}

// outputFlag gives cmd -o.
func (a *app) outputFlag(cmd *cobra.Command) {
	a.output = formatTable
	cmd.Flags().VarP(&a.output, "output", "o", "how to print data: table or json")
	complete(cmd, "output", string(formatTable), string(formatJSON))
}

// complete lists the values of a flag for shells.
func complete(cmd *cobra.Command, flag string, values ...string) {
	_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
}

// usage prints what help shows below a command's description.
func usage(cmd *cobra.Command) error {
	out := cmd.OutOrStderr()
	if !cmd.HasAvailableSubCommands() {
		fmt.Fprintf(out, "Usage:\n  %s\n", cmd.UseLine())
	} else {
		name := "COMMAND"
		if cmd.Flags().HasAvailableFlags() && cmd.Flags().Lookup("output") != nil { // it does something by itself
			name = "[COMMAND]"
		}
		fmt.Fprintf(out, "Usage:\n  %s %s [flags]\n\nCommands:\n", cmd.CommandPath(), name)
		for _, sub := range cmd.Commands() {
			if sub.IsAvailableCommand() {
				fmt.Fprintf(out, "  %-18s %s\n", sub.Name(), sub.Short)
			}
		}
	}
	if cmd.HasExample() {
		fmt.Fprintf(out, "\nExamples:\n%s\n", cmd.Example)
	}
	own, connection := splitFlags(cmd)
	printFlags(cmd, "Flags", own)
	printFlags(cmd, "Connection", connection)
	return nil
}

func splitFlags(cmd *cobra.Command) (own, connection *pflag.FlagSet) {
	own, connection = pflag.NewFlagSet("", pflag.ContinueOnError), pflag.NewFlagSet("", pflag.ContinueOnError)
	own.SortFlags, connection.SortFlags = false, false
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Annotations[connectionFlag] != nil {
			connection.AddFlag(f)
		} else {
			own.AddFlag(f)
		}
	})
	return own, connection
}

func printFlags(cmd *cobra.Command, title string, flags *pflag.FlagSet) {
	if flags.HasAvailableFlags() {
		fmt.Fprintf(cmd.OutOrStderr(), "\n%s:\n%s", title, flags.FlagUsages())
	}
}
