package cli

import "github.com/spf13/cobra"

func (a *app) doctor() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "doctor",
		Short:   "Check which promises hold on the connected broker",
		Example: "  ampybusctl doctor --nats nats://127.0.0.1:4222",
	}
	a.outputFlag(cmd)
	a.connectionFlags(cmd)
	return a.command(cmd, func(cmd *cobra.Command) error { return nil })
}
