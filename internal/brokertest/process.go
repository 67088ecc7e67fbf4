package brokertest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/AmpyFin/ampy-bus/internal/natsserver"
)

const childEnv = "AMPY_BROKERTEST_CHILD"

// child is what a server process is told.
type child struct {
	Port       int
	StoreDir   string
	SyncAlways bool
}

// Main runs a package's tests; the same binary, started by StartProcess, runs
// a server instead. A package that uses StartProcess calls it from TestMain.
func Main(m *testing.M) {
	if spec := os.Getenv(childEnv); spec != "" {
		os.Exit(serve(spec))
	}
	os.Exit(m.Run())
}

func serve(spec string) int {
	var c child
	if err := json.Unmarshal([]byte(spec), &c); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	s, err := natsserver.Start(natsserver.Config{Port: c.Port, StoreDir: c.StoreDir, SyncAlways: c.SyncAlways})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(s.URL())
	s.Wait()
	return 0
}

// Process is a server in a process of its own.
type Process struct {
	tb   testing.TB
	spec child
	url  string
	cmd  *exec.Cmd
}

// StartProcess runs a server as a child process until the test ends.
func StartProcess(tb testing.TB, syncAlways bool) *Process {
	tb.Helper()
	p := &Process{tb: tb, spec: child{Port: FreePort(tb), StoreDir: tb.TempDir(), SyncAlways: syncAlways}}
	p.start()
	tb.Cleanup(p.Kill)
	return p
}

func (p *Process) start() {
	p.tb.Helper()
	spec, err := json.Marshal(p.spec)
	if err != nil {
		p.tb.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+string(spec))
	cmd.Stderr = os.Stderr
	// The server must not outlive a test that is itself killed.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		p.tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		p.tb.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		p.tb.Fatalf("start nats-server process: %v", err)
	}
	p.cmd, p.url = cmd, strings.TrimSpace(line)
}

// URL is where clients connect; it is the same after Restart.
func (p *Process) URL() string { return p.url }

// Kill ends the process as a crash does (SIGKILL).
func (p *Process) Kill() {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	p.cmd = nil
}

// Restart starts a killed server again on the same data and port.
func (p *Process) Restart() {
	p.tb.Helper()
	p.Kill()
	p.start()
}

// Stop freezes the process (SIGSTOP) until Continue.
func (p *Process) Stop() { p.signal(syscall.SIGSTOP) }

// Continue wakes a frozen process.
func (p *Process) Continue() { p.signal(syscall.SIGCONT) }

func (p *Process) signal(s os.Signal) {
	p.tb.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.tb.Fatal(err)
	}
}
