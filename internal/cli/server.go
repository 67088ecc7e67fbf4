package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/AmpyFin/ampy-bus/internal/natsserver"
)

// serverFlags hold the embedded server's configuration.
type serverFlags struct {
	host, storeDir   string
	port, monitor    number
	user, passFile   string
	syncAlways, logs bool
}

func (a *app) server() *cobra.Command {
	f := serverFlags{port: number{value: 4222, min: 0, max: 65535}, monitor: number{min: 0, max: 65535}}
	cmd := &cobra.Command{
		Use:   "server",
		Short: "Run a NATS server with JetStream in this process, until Ctrl+C",
		Long: `Run a NATS server with JetStream in this process, until Ctrl+C.

It needs no other software. Without --store-dir its data lies in a temporary
directory and goes when it ends. Without --sync-always the server writes to the
disk every two minutes, and a power cut loses acknowledged messages.`,
		Example: `  ampybusctl server
  ampybusctl server --store-dir ./nats-data --sync-always --port 4333`,
	}
	fs := cmd.Flags()
	fs.Var(&f.port, "port", "port to listen on; 0 for any that is free")
	fs.StringVar(&f.host, "host", "127.0.0.1", "`ADDRESS` to listen on; 0.0.0.0 lets other machines in")
	fs.StringVar(&f.storeDir, "store-dir", "", "`DIR` that keeps the data")
	fs.BoolVar(&f.syncAlways, "sync-always", false, "acknowledge a message only when it is on the disk")
	fs.StringVar(&f.user, "user", "", "`NAME` that clients must log in with")
	fs.StringVar(&f.passFile, "pass-file", "", "`FILE` of their password; - for stdin")
	fs.Var(&f.monitor, "monitor", "port of the monitoring pages on 127.0.0.1")
	fs.BoolVar(&f.logs, "server-log", false, "print the server's own log to stderr")
	a.outputFlag(cmd)
	return a.command(cmd, func(cmd *cobra.Command) error { return a.serve(cmd, &f) })
}

func (a *app) serve(cmd *cobra.Command, f *serverFlags) error {
	c, err := a.serverConfig(f)
	if err != nil {
		return err
	}
	unlock, err := lockStore(f.storeDir)
	if err != nil {
		return err
	}
	defer unlock()
	s, err := natsserver.Start(c)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := a.announce(s, f); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() { s.Wait(); close(ended) }()
	select {
	case <-cmd.Context().Done():
		fmt.Fprintln(a.err, "stopping")
		return nil
	case <-ended:
		return errors.New("the server ended by itself; --server-log shows why")
	}
}

func (a *app) serverConfig(f *serverFlags) (natsserver.Config, error) {
	c := natsserver.Config{
		Host: f.host, Port: f.port.value, StoreDir: f.storeDir,
		SyncAlways: f.syncAlways, MonitorPort: f.monitor.value, User: f.user, Log: f.logs,
	}
	if f.port.value == 0 {
		c.Port = natsserver.RandomPort
	}
	a.conn.passFile = f.passFile
	pass, err := a.password()
	if err != nil {
		return c, err
	}
	if (f.user == "") != (pass == "") {
		return c, usagef("--user and --pass-file belong together: give both or none")
	}
	c.Pass = pass
	return c, nil
}

// serverDoc says how to connect.
type serverDoc struct {
	URL        string `json:"url"`
	StoreDir   string `json:"store_dir,omitempty"`
	Temporary  bool   `json:"temporary"`
	SyncAlways bool   `json:"sync_always"`
	MonitorURL string `json:"monitor_url,omitempty"`
}

func (a *app) announce(s *natsserver.Server, f *serverFlags) error {
	d := serverDoc{
		URL: s.URL(), StoreDir: f.storeDir, Temporary: f.storeDir == "",
		SyncAlways: f.syncAlways, MonitorURL: s.MonitorURL(),
	}
	a.remarkOn(d)
	if a.output == formatJSON {
		return a.printJSON(d)
	}
	login := ""
	if f.user != "" {
		login = " --user " + f.user + " --pass-file FILE"
	}
	fmt.Fprintf(a.out, "ready at %s\n", d.URL)
	fmt.Fprintf(a.out, "read:    ampybusctl sub --subject 'ampy.>' --nats %s%s\n", d.URL, login)
	fmt.Fprintf(a.out, "publish: ampybusctl pub-empty --topic ampy.dev.bars.v1.XNAS.AAPL --producer me@cli --source test --pk XNAS.AAPL --nats %s%s\n", d.URL, login)
	if d.MonitorURL != "" {
		fmt.Fprintf(a.out, "monitor: %s\n", d.MonitorURL)
	}
	return nil
}

// remarkOn says what this server does not promise.
func (a *app) remarkOn(d serverDoc) {
	if d.Temporary {
		a.warn("data goes when the server ends: --store-dir DIR keeps it")
	}
	if !d.SyncAlways {
		a.warn("a power cut can lose acknowledged messages: --sync-always prevents it")
	}
}
