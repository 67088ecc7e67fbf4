package cli

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/natsbinding"
)

func (a *app) listStreams() *cobra.Command {
	var subject string
	cmd := &cobra.Command{
		Use:   "streams",
		Short: "List the streams that hold messages, with their settings",
		Example: `  ampybusctl streams
  ampybusctl streams --subject "ampy.prod.>" -o json`,
	}
	cmd.Flags().StringVar(&subject, "subject", "ampy.>", "`PATTERN` of topics")
	a.outputFlag(cmd)
	a.connectionFlags(cmd)
	return a.command(cmd, func(cmd *cobra.Command) error {
		docs, err := a.streamDocs(cmd, subject)
		if err != nil {
			return err
		}
		if len(docs) == 0 {
			return exitf(ExitNothing, "no stream holds %s; the first message published makes one", subject)
		}
		return a.showStreams(docs)
	}, "subject")
}

// streamDoc is a stream as JSON. Settings are there on NATS only.
type streamDoc struct {
	Log       string   `json:"log"`
	Records   uint64   `json:"records"`
	Bytes     uint64   `json:"bytes"`
	First     uint64   `json:"first"`
	Next      uint64   `json:"next"`
	Subjects  []string `json:"subjects,omitempty"`
	Consumers int      `json:"consumers,omitempty"`
	Replicas  int      `json:"replicas,omitempty"`
	Storage   string   `json:"storage,omitempty"`
	Retention string   `json:"retention,omitempty"`
	Window    string   `json:"dedupe_window,omitempty"`
	Adopted   bool     `json:"adopted,omitempty"`
	Leader    string   `json:"leader,omitempty"`
}

func (a *app) streamDocs(cmd *cobra.Command, pattern string) ([]streamDoc, error) {
	t, err := a.connect(cmd)
	if err != nil {
		return nil, err
	}
	b := a.bus(t)
	defer b.Close()
	logs, err := t.Lanes(cmd.Context(), "", pattern)
	if err != nil {
		return nil, err
	}
	settings := map[string]natsbinding.StreamState{}
	if _, ok := t.(*natsbinding.Transport); ok {
		if settings, err = a.streamSettings(cmd); err != nil {
			return nil, err
		}
	}
	docs := make([]streamDoc, 0, len(logs))
	for _, l := range logs {
		docs = append(docs, newStreamDoc(l, settings[l.Log]))
	}
	return docs, nil
}

func (a *app) streamSettings(cmd *cobra.Command) (map[string]natsbinding.StreamState, error) {
	states, err := natsbinding.Streams(cmd.Context(), a.reached.NATS)
	if err != nil {
		return nil, err
	}
	byName := make(map[string]natsbinding.StreamState, len(states))
	for _, s := range states {
		byName[s.Name] = s
	}
	return byName, nil
}

func newStreamDoc(l driver.LaneState, s natsbinding.StreamState) streamDoc {
	d := streamDoc{Log: l.Log, Records: l.Records, Bytes: l.Bytes, First: l.First, Next: l.Next}
	if s.Name == "" {
		return d
	}
	d.Subjects, d.Consumers, d.Replicas = s.Subjects, s.Consumers, s.Replicas
	d.Storage, d.Retention, d.Window = "file", retention(s.MaxAge), s.Window.String()
	if s.Memory {
		d.Storage = "memory"
	}
	d.Adopted, d.Leader = s.Adopted, s.Leader
	return d
}

func retention(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d == 0:
		return "forever"
	case d%day == 0:
		return strconv.Itoa(int(d/day)) + "d"
	}
	return d.String()
}

func (a *app) showStreams(docs []streamDoc) error {
	if a.output == formatJSON {
		for _, d := range docs {
			if err := a.printJSON(d); err != nil {
				return err
			}
		}
		return nil
	}
	header := []string{"LOG", "RECORDS", "BYTES", "FIRST", "NEXT"}
	settings := slices.ContainsFunc(docs, func(d streamDoc) bool { return d.Storage != "" })
	if settings {
		header = append(header, "CONSUMERS", "REPLICAS", "STORAGE", "RETENTION", "DEDUPE", "SUBJECTS")
	}
	rows := make([][]string, 0, len(docs))
	for _, d := range docs {
		row := []string{
			d.Log, strconv.FormatUint(d.Records, 10), strconv.FormatUint(d.Bytes, 10),
			strconv.FormatUint(d.First, 10), strconv.FormatUint(d.Next, 10),
		}
		if settings {
			row = append(row, strconv.Itoa(d.Consumers), strconv.Itoa(d.Replicas), or(d.Storage, "-"), or(d.Retention, "-"), or(d.Window, "-"),
				or(strings.Join(d.Subjects, ","), "-"))
		}
		rows = append(rows, row)
	}
	printTable(a.out, header, rows)
	return nil
}
