package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	natsd "github.com/nats-io/nats-server/v2/server"

	"github.com/AmpyFin/ampy-bus/internal/bench"
	"github.com/AmpyFin/ampy-bus/internal/natsserver"
)

// serverEnv tells a child process to be a server.
const serverEnv = "AMPY_GROWTH_SERVER"

// serverSpec is what a child is told. Peers are the route addresses of a cluster.
type serverSpec struct {
	Dir   string
	Sync  bool
	Name  string
	Route int
	Peers []string
}

// footprint is what a process has used so far, and holds now.
type footprint struct {
	CPU        time.Duration // until it was asked
	Collecting time.Duration // spent on the answer
	Heap       uint64        // live, after a collection
	Resident   uint64
	Requests   int64 // messages that clients sent to a server
	Leads      bool  // of a cluster, with all its peers
}

// since is the CPU used between two answers.
func (f footprint) since(before footprint) time.Duration {
	return f.CPU - before.CPU - before.Collecting
}

// serve is the life of a child: it answers each line with a footprint, and ends
// with its parent.
func serve(spec string, in io.Reader, out io.Writer) int {
	var c serverSpec
	if err := json.Unmarshal([]byte(spec), &c); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	s, err := natsserver.Start(c.config())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer s.Close()
	fmt.Fprintln(out, s.URL())
	answers := json.NewEncoder(out)
	for lines := bufio.NewScanner(in); lines.Scan(); {
		f := ownFootprint()
		if v, err := s.Native().Varz(nil); err == nil {
			f.Requests = v.InMsgs
		}
		f.Leads = len(c.Peers) > 0 && s.Native().JetStreamIsLeader() && len(s.Native().JetStreamClusterPeers()) == len(c.Peers)
		if answers.Encode(f) != nil {
			return 1
		}
	}
	return 0
}

func (c serverSpec) config() natsserver.Config {
	return natsserver.Config{
		Port: natsserver.RandomPort, StoreDir: c.Dir, SyncAlways: c.Sync,
		Tune: func(o *natsd.Options) {
			if len(c.Peers) == 0 {
				return
			}
			o.ServerName, o.Cluster.Name = c.Name, "growth"
			o.Cluster.Host, o.Cluster.Port = "127.0.0.1", c.Route
			for _, p := range c.Peers {
				o.Routes = append(o.Routes, &url.URL{Scheme: "nats", Host: p})
			}
		},
	}
}

func ownFootprint() footprint {
	used := bench.CPUTime()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return footprint{CPU: used, Collecting: bench.CPUTime() - used, Heap: m.HeapAlloc, Resident: residentOf(os.Getpid())}
}

// server is a running child.
type server struct {
	url string
	cmd *exec.Cmd
	in  io.WriteCloser
	dir string

	mu      sync.Mutex
	answers *bufio.Reader
}

func startServer(ctx context.Context, dir string, spec serverSpec) (*server, error) {
	dir, err := os.MkdirTemp(dir, "growth-")
	if err != nil {
		return nil, fmt.Errorf("start server: %w", err)
	}
	spec.Dir = dir
	text, err := json.Marshal(spec)
	if err != nil {
		return nil, fmt.Errorf("start server: %w", err)
	}
	s := &server{dir: dir, cmd: exec.CommandContext(ctx, os.Args[0])}
	s.cmd.Env = append(os.Environ(), serverEnv+"="+string(text))
	s.cmd.Stderr = os.Stderr
	// An interrupt from the keyboard is for the parent; the child ends with it.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := s.cmd.StdoutPipe()
	if err == nil {
		s.in, err = s.cmd.StdinPipe()
	}
	if err == nil {
		err = s.cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("start server: %w", err)
	}
	s.answers = bufio.NewReader(out)
	line, err := s.answers.ReadString('\n')
	if err != nil {
		s.close()
		return nil, fmt.Errorf("start server: it ended: %w", err)
	}
	s.url = strings.TrimSpace(line)
	return s, nil
}

// footprint asks the child, which collects its garbage first.
func (s *server) footprint() (f footprint, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := fmt.Fprintln(s.in); err != nil {
		return f, fmt.Errorf("ask server: %w", err)
	}
	line, err := s.answers.ReadBytes('\n')
	if err != nil {
		return f, fmt.Errorf("ask server: %w", err)
	}
	return f, json.Unmarshal(line, &f)
}

// close ends the child and removes its data.
func (s *server) close() {
	_ = s.in.Close()
	_ = s.cmd.Wait()
	_ = os.RemoveAll(s.dir)
}

// startCluster runs n servers and returns when they have a leader.
func startCluster(ctx context.Context, dir string, n int) ([]*server, error) {
	specs := make([]serverSpec, n)
	var peers []string
	for i := range specs {
		port, err := freePort(ctx)
		if err != nil {
			return nil, err
		}
		specs[i] = serverSpec{Name: fmt.Sprintf("n%d", i), Route: port}
		peers = append(peers, fmt.Sprintf("127.0.0.1:%d", port))
	}
	var all []*server
	for _, spec := range specs {
		spec.Peers = peers
		s, err := startServer(ctx, dir, spec)
		if err != nil {
			return all, err
		}
		all = append(all, s)
	}
	return all, awaitLeader(ctx, all)
}

func freePort(ctx context.Context) (int, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// leaderTimeout is far above what an election takes on a busy machine.
const leaderTimeout = time.Minute

func awaitLeader(ctx context.Context, all []*server) error {
	ctx, cancel := context.WithTimeout(ctx, leaderTimeout)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		for _, s := range all {
			f, err := s.footprint()
			if err != nil {
				return err
			}
			if f.Leads {
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.New("the cluster has no leader")
		}
	}
}
