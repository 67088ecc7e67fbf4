package cli

import (
	"strconv"

	"github.com/spf13/cobra"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

func (a *app) listStreams() *cobra.Command {
	var subject string
	cmd := &cobra.Command{
		Use:   "streams",
		Short: "List the logs that hold messages",
		Example: `  ampybusctl streams
  ampybusctl streams --subject "ampy.prod.>" -o json`,
	}
	cmd.Flags().StringVar(&subject, "subject", "ampy.>", "`PATTERN` of topics")
	a.outputFlag(cmd)
	a.connectionFlags(cmd)
	return a.command(cmd, func(cmd *cobra.Command) error {
		b, err := a.open(cmd)
		if err != nil {
			return err
		}
		defer b.Close()
		logs, err := b.Transport().Lanes(cmd.Context(), "", subject)
		if err != nil {
			return err
		}
		if len(logs) == 0 {
			return exitf(ExitNothing, "no stream holds %s; the first message published makes one", subject)
		}
		return a.showLogs(logs)
	}, "subject")
}

// logDoc is a log as JSON.
type logDoc struct {
	Log     string `json:"log"`
	Records uint64 `json:"records"`
	Bytes   uint64 `json:"bytes"`
	First   uint64 `json:"first"`
	Next    uint64 `json:"next"`
}

func (a *app) showLogs(logs []driver.LaneState) error {
	rows := make([][]string, 0, len(logs))
	for _, l := range logs {
		if a.output == formatJSON {
			if err := a.printJSON(logDoc{l.Log, l.Records, l.Bytes, l.First, l.Next}); err != nil {
				return err
			}
			continue
		}
		rows = append(rows, []string{
			l.Log, strconv.FormatUint(l.Records, 10), strconv.FormatUint(l.Bytes, 10),
			strconv.FormatUint(l.First, 10), strconv.FormatUint(l.Next, 10),
		})
	}
	if a.output != formatJSON {
		printTable(a.out, []string{"LOG", "RECORDS", "BYTES", "FIRST", "NEXT"}, rows)
	}
	return nil
}
