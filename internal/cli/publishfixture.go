package cli

import (
	"github.com/spf13/cobra"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/fixture"
)

func (a *app) publishFixture() *cobra.Command {
	var (
		file string
		same bool
	)
	cmd := &cobra.Command{
		Use:   "publish-fixture",
		Short: "Publish the envelope of a JSON file, under a new message id",
		Example: `  ampybusctl publish-fixture --file examples/bars_v1_XNAS_AAPL.json
  ampybusctl publish-fixture --file examples/orders_v1_request.json --same-id`,
	}
	cmd.Flags().StringVar(&file, "file", "", "`FILE` of the envelope")
	cmd.Flags().BoolVar(&same, "same-id", false, "keep the file's message id: consumers that know it drop the message")
	a.outputFlag(cmd)
	a.connectionFlags(cmd)
	return a.command(cmd, func(cmd *cobra.Command) error {
		f, err := fixture.ReadFile(file)
		if err != nil {
			return usagef("--file: %w", err)
		}
		if !same {
			f.Envelope.Headers.MessageID = ampybus.NewID()
		}
		return a.publishOne(cmd, f.Envelope)
	}, "file")
}
