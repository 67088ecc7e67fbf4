package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"
)

func (a *app) version() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print the versions of this program and of what it is made of",
		Example: "  ampybusctl version -o json",
	}
	a.outputFlag(cmd)
	return a.command(cmd, func(*cobra.Command) error {
		v := versions()
		if a.output == formatJSON {
			return a.printJSON(v)
		}
		fmt.Fprintf(a.out, "%s %s (%s, nats.go %s, embedded nats-server %s, franz-go %s)\n",
			a.prog.Name, v.Version, v.Go, v.NATSClient, v.NATSServer, or(v.KafkaClient, "unknown"))
		return nil
	})
}

type versionDoc struct {
	Version     string `json:"version"`
	Go          string `json:"go"`
	NATSClient  string `json:"nats_client"`
	NATSServer  string `json:"nats_server"`
	KafkaClient string `json:"kafka_client,omitempty"`
}

// versions reads what the linker recorded.
func versions() versionDoc {
	v := versionDoc{Version: "devel", Go: runtime.Version(), NATSClient: nats.Version, NATSServer: server.VERSION}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" && info.Main.Version != "(devel)" {
		v.Version = info.Main.Version
	}
	for _, m := range info.Deps {
		if m.Path == "github.com/twmb/franz-go" {
			v.KafkaClient = strings.TrimPrefix(m.Version, "v")
		}
	}
	return v
}
