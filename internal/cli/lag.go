package cli

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

func (a *app) lag() *cobra.Command {
	var group string
	cmd := &cobra.Command{
		Use:     "lag",
		Short:   "Show how far behind a durable group is",
		Example: "  ampybusctl lag --group my-consumer",
	}
	given := "sub --durable"
	if a.prog.Kafka {
		given = "sub --group"
	}
	cmd.Flags().StringVar(&group, "group", "", "`GROUP`, the name given to "+given)
	a.outputFlag(cmd)
	a.connectionFlags(cmd)
	return a.command(cmd, func(cmd *cobra.Command) error {
		if err := (ampybus.Consumer{Pattern: "ampy.>", Group: group}).Validate(); err != nil {
			return err
		}
		b, err := a.open(cmd)
		if err != nil {
			return err
		}
		defer b.Close()
		lag, err := b.Lag(cmd.Context(), group)
		if err != nil {
			return err
		}
		return a.showLag(lag)
	}, "group")
}

type lagDoc struct {
	Group   string    `json:"group"`
	Pending uint64    `json:"pending"`
	Lanes   []laneDoc `json:"lanes"`
}

type laneDoc struct {
	Lane      string `json:"lane"`
	Log       string `json:"log"`
	First     uint64 `json:"first"`
	Committed uint64 `json:"committed"`
	Next      uint64 `json:"next"`
	Pending   uint64 `json:"pending"`
	Owner     string `json:"owner,omitempty"`
}

func (a *app) showLag(lag ampybus.Lag) error {
	if len(lag.Lanes) == 0 {
		return exitf(ExitNothing, "group %s has no position: it never consumed", lag.Group)
	}
	doc := lagDoc{Group: lag.Group, Pending: lag.Pending}
	rows := make([][]string, 0, len(lag.Lanes))
	for _, l := range lag.Lanes {
		doc.Lanes = append(doc.Lanes, newLaneDoc(l))
		rows = append(rows, []string{
			l.Lane, l.Log, strconv.FormatUint(l.Committed, 10), strconv.FormatUint(l.Next, 10),
			strconv.FormatUint(l.Pending, 10), or(l.Owner, "-"),
		})
	}
	if a.output == formatJSON {
		return a.printJSON(doc)
	}
	printTable(a.out, []string{"LANE", "LOG", "COMMITTED", "NEXT", "PENDING", "OWNER"}, rows)
	fmt.Fprintf(a.out, "pending: %d\n", lag.Pending)
	return nil
}

func newLaneDoc(l driver.LaneState) laneDoc {
	return laneDoc{
		Lane: l.Lane, Log: l.Log, First: l.First, Committed: l.Committed,
		Next: l.Next, Pending: l.Pending, Owner: l.Owner,
	}
}
