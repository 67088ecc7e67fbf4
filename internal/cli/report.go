package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/AmpyFin/ampy-bus/internal/terminal"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// flagOf says which flag sets a field that the bus complains about.
func flagOf(field string) []string {
	switch field {
	case ampybus.HeaderTopic:
		return []string{"topic", "subject"}
	case "pattern":
		return []string{"subject", "topic", "pattern"}
	case "group":
		return []string{"durable", "group"}
	case ampybus.HeaderPartitionKey:
		return []string{"pk"}
	case ampybus.HeaderSchemaFQDN:
		return []string{"schema"}
	case "headers":
		return []string{"header"}
	case "reasons":
		return []string{"code", "reason"}
	case "keys":
		return []string{"key", "pk"}
	case "groups":
		return []string{"group"}
	case "payload":
		return []string{"json", "payload"}
	}
	return []string{strings.ReplaceAll(field, "_", "-")}
}

// report prints err, one line per fault, with the flag that it is about.
func (a *app) report(cmd *cobra.Command, err error) {
	if err == nil {
		return
	}
	faults := ampybus.FieldErrors(err)
	for _, f := range faults {
		a.printErr(cmd, flagName(cmd, f.Field)+strings.TrimPrefix(f.Error(), f.Field))
	}
	if len(faults) == 0 {
		a.printErr(cmd, err.Error())
	}
	if exitCode(err) == ExitUsage {
		fmt.Fprintf(a.err, "see %s --help\n", cmd.CommandPath())
	}
}

func (a *app) printErr(cmd *cobra.Command, text string) {
	for line := range strings.Lines(text) {
		fmt.Fprintf(a.err, "%s: %s\n", cmd.CommandPath(), terminal.Escape(strings.TrimRight(line, "\n")))
	}
}

// flagName is field's flag on cmd, or field itself where no flag sets it.
func flagName(cmd *cobra.Command, field string) string {
	for _, name := range flagOf(field) {
		if cmd.Flags().Lookup(name) != nil {
			return "--" + name
		}
	}
	return field
}

// maxTypingErrors is how far a name may be from what was written to be suggested.
const maxTypingErrors = 2

// knownCommand refuses a misspelt command before its flags are looked at, which
// the program itself does not know.
func knownCommand(root *cobra.Command, args []string) error {
	root.InitDefaultHelpCmd()
	if len(args) == 0 || strings.HasPrefix(args[0], cobra.ShellCompRequestCmd) {
		return nil
	}
	at, rest, err := root.Find(args)
	switch {
	case err != nil:
		at, rest = root, args
	case !at.HasSubCommands() || len(rest) == 0 || strings.HasPrefix(rest[0], "-"):
		return nil
	}
	text := "unknown command " + terminal.Field(rest[0])
	if near := at.SuggestionsFor(rest[0]); len(near) > 0 {
		text += "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return usagef("%s", text)
}

// noArguments refuses positional arguments: every value has a flag.
func noArguments(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return usagef("unexpected argument %s: every value follows a flag, such as --topic", terminal.Field(args[0]))
}

// flagError says which flag is wrong without repeating values of flags that do
// not exist: a password after a misspelt --pass must not be shown.
func flagError(cmd *cobra.Command, err error) error {
	var (
		unknown *pflag.NotExistError
		missing *pflag.ValueRequiredError
		invalid *pflag.InvalidValueError
	)
	switch {
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() != "":
		return usagef("unknown flag -%s", unknown.GetSpecifiedName())
	case errors.As(err, &unknown):
		return usagef("unknown flag --%s%s", terminal.Escape(unknown.GetSpecifiedName()), nearFlag(cmd, unknown.GetSpecifiedName()))
	case errors.As(err, &missing):
		return usagef("--%s: its value is missing", missing.GetFlag().Name)
	case errors.As(err, &invalid):
		return usagef("--%s: %v", invalid.GetFlag().Name, invalid.Unwrap())
	}
	return usagef("%v", err)
}

func nearFlag(cmd *cobra.Command, name string) string {
	best, distance := "", maxTypingErrors+1
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if d := editDistance(name, f.Name); !f.Hidden && d < distance {
			best, distance = f.Name, d
		}
	})
	if best == "" {
		return ""
	}
	return "; did you mean --" + best + "?"
}

// editDistance counts the insertions, deletions, replacements and swaps of
// neighbours that turn a into b.
func editDistance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
