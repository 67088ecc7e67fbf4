package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/AmpyFin/ampy-bus/internal/terminal"
)

func shells() []string { return []string{"bash", "zsh", "fish", "powershell"} }

func (a *app) completion() *cobra.Command {
	cmd := &cobra.Command{
		Use:       "completion {" + strings.Join(shells(), "|") + "}",
		Short:     "Print a script that completes commands and flags in a shell",
		ValidArgs: shells(),
		Example: `  source <(ampybusctl completion bash)
  ampybusctl completion zsh > "${fpath[1]}/_ampybusctl"`,
	}
	var shell string
	cmd = a.command(cmd, func(cmd *cobra.Command) error {
		root := cmd.Root()
		switch shell {
		case "bash":
			return root.GenBashCompletionV2(a.out, true)
		case "zsh":
			return root.GenZshCompletion(a.out)
		case "fish":
			return root.GenFishCompletion(a.out, true)
		}
		return root.GenPowerShellCompletionWithDesc(a.out)
	})
	cmd.Args = func(_ *cobra.Command, args []string) error {
		if len(args) != 1 || !slices.Contains(shells(), args[0]) {
			return usagef("name one shell of %s, not %s", strings.Join(shells(), ", "), terminal.Field(fmt.Sprint(args)))
		}
		shell = args[0]
		return nil
	}
	return cmd
}
