package cli

import (
	"github.com/spf13/cobra"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

func (a *app) pubEmpty() *cobra.Command {
	var f envelopeFlags
	cmd := &cobra.Command{
		Use:   "pub-empty",
		Short: "Publish a message without payload, for a test",
		Example: `  ampybusctl pub-empty --topic ampy.prod.bars.v1.XNAS.AAPL \
    --producer yfinance-go@ingest-1 --source yfinance-go --pk XNAS.AAPL`,
	}
	f.add(cmd)
	a.outputFlag(cmd)
	a.connectionFlags(cmd)
	return a.command(cmd, func(cmd *cobra.Command) error {
		schema, err := f.schemaOrDefault()
		if err != nil {
			return err
		}
		e := ampybus.Envelope{Topic: f.topic, Headers: f.newHeaders(schema)}
		return a.publishOne(cmd, e)
	}, "topic", "producer", "source", "pk")
}

// publishOne validates before it connects: a refusal needs no broker.
func (a *app) publishOne(cmd *cobra.Command, e ampybus.Envelope) error {
	if err := e.Validate(); err != nil {
		return err
	}
	p, err := a.publisher(cmd)
	if err != nil {
		return err
	}
	defer p.Close()
	a.sayKafkaTopic(e.Topic)
	return a.publish(cmd.Context(), p, e)
}
