package cli

import (
	"strconv"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

func (a *app) listGroups() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list-groups",
		Short: "List the groups of the cluster; lag shows one of them",
		Example: `  kafkainspect list-groups --brokers 127.0.0.1:9092
  kafkainspect list-groups -o json`,
	}
	a.outputFlag(cmd)
	a.connectionFlags(cmd)
	return a.command(cmd, func(cmd *cobra.Command) error {
		adm, err := a.kafkaAdmin(cmd)
		if err != nil {
			return err
		}
		defer adm.Close()
		docs, err := kafkaGroups(cmd, adm)
		if err == nil && len(docs) == 0 {
			err = exitf(ExitNothing, "no group: none has consumed yet")
		}
		if err != nil {
			return err
		}
		return a.showGroups(docs)
	})
}

// groupDoc is a group as JSON.
type groupDoc struct {
	Group   string `json:"group"`
	State   string `json:"state"`
	Members int    `json:"members"`
	Topics  int    `json:"kafka_topics"`
	Pending int64  `json:"pending"`
	Error   string `json:"error,omitempty"`
}

func kafkaGroups(cmd *cobra.Command, adm *kadm.Client) ([]groupDoc, error) {
	listed, err := adm.ListGroups(cmd.Context())
	if err != nil {
		return nil, kafkaError("list groups", err)
	}
	if len(listed) == 0 {
		return nil, nil
	}
	lags, err := adm.Lag(cmd.Context(), listed.Groups()...)
	if err != nil {
		return nil, kafkaError("list groups", err)
	}
	docs := make([]groupDoc, 0, len(lags))
	for _, l := range lags.Sorted() {
		d := groupDoc{Group: l.Group, State: l.State, Members: len(l.Members), Topics: len(l.Lag), Pending: l.Lag.Total()}
		if err := l.Error(); err != nil {
			d.Error = err.Error()
		}
		docs = append(docs, d)
	}
	return docs, nil
}

func (a *app) showGroups(docs []groupDoc) error {
	header := []string{"GROUP", "STATE", "MEMBERS", "KAFKA TOPICS", "PENDING", "ERROR"}
	return printDocs(a, docs, header, func(d groupDoc) []string {
		return []string{d.Group, or(d.State, "-"), strconv.Itoa(d.Members), strconv.Itoa(d.Topics), strconv.FormatInt(d.Pending, 10), or(d.Error, "-")}
	})
}
