package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/AmpyFin/ampy-bus/internal/kafkaserver"
)

// kafkaServerFlags hold the embedded Kafka's configuration.
type kafkaServerFlags struct {
	port           number
	storeDir       string
	user, passFile string
}

func (a *app) kafkaServer() *cobra.Command {
	f := kafkaServerFlags{port: number{value: 9092, min: 0, max: 65535}}
	cmd := &cobra.Command{
		Use:   "server",
		Short: "Run a stand-in for Kafka in this process, for development, until Ctrl+C",
		Long: `Run a stand-in for Kafka in this process, for development, until Ctrl+C.

It needs no Java. It is no Apache Kafka: it is one broker that speaks Kafka's
protocol on 127.0.0.1, keeps its data in memory unless --store-dir is given, and
does not promise that data survives a crash.`,
		Example: `  kafkabusctl server
  kafkabusctl server --port 9192 --store-dir ./kafka-data`,
	}
	fs := cmd.Flags()
	fs.Var(&f.port, "port", "port to listen on; 0 for any that is free (default 9092)")
	fs.StringVar(&f.storeDir, "store-dir", "", "`DIR` that keeps the data")
	fs.StringVar(&f.user, "user", "", "`NAME` that clients must log in with (SCRAM-SHA-512)")
	fs.StringVar(&f.passFile, "pass-file", "", "`FILE` of their password; - for stdin")
	a.outputFlag(cmd)
	return a.command(cmd, func(cmd *cobra.Command) error { return a.serveKafka(cmd, &f) })
}

// kafkaServerDoc says how to connect.
type kafkaServerDoc struct {
	URL         string `json:"url"`
	StoreDir    string `json:"store_dir,omitempty"`
	Temporary   bool   `json:"temporary"`
	Development bool   `json:"for_development"`
}

func (a *app) serveKafka(cmd *cobra.Command, f *kafkaServerFlags) error {
	a.conn.passFile = f.passFile
	pass, err := a.password()
	if err != nil {
		return err
	}
	if (f.user == "") != (pass == "") {
		return usagef("--user and --pass-file belong together: give both or none")
	}
	unlock, err := lockStore(f.storeDir)
	if err != nil {
		return err
	}
	defer unlock()
	s, err := kafkaserver.Start(kafkaserver.Config{Ports: []int{f.port.value}, DataDir: f.storeDir, User: f.user, Pass: pass})
	if err != nil {
		return err
	}
	defer s.Close()
	d := kafkaServerDoc{URL: s.URL(), StoreDir: f.storeDir, Temporary: f.storeDir == "", Development: true}
	if err := a.announceKafka(d, s.Addrs()[0]); err != nil {
		return err
	}
	<-cmd.Context().Done()
	fmt.Fprintln(a.err, "stopping")
	return nil
}

func (a *app) announceKafka(d kafkaServerDoc, addr string) error {
	a.warn("this is a stand-in for development, not Apache Kafka")
	if d.Temporary {
		a.warn("data goes when the server ends: --store-dir DIR keeps it")
	}
	if a.output == formatJSON {
		return a.printJSON(d)
	}
	fmt.Fprintf(a.out, "ready at %s (for development)\n", d.URL)
	fmt.Fprintf(a.out, "read:    kafkabusctl sub --brokers %s --topic 'ampy.>'\n", addr)
	fmt.Fprintf(a.out, "publish: kafkabusctl pub-empty --brokers %s --topic ampy.dev.bars.v1.XNAS.AAPL --producer me@cli --source test --pk XNAS.AAPL\n", addr)
	return nil
}
