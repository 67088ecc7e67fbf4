package brokertest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// BinaryEnv names a nats-server executable. Tests that ask for it run against
// that version of the server:
//
//	AMPY_NATS_SERVER=/path/to/nats-server go test ./pkg/ampybus/natsbinding
const BinaryEnv = "AMPY_NATS_SERVER"

// Binary is a running nats-server executable.
type Binary struct {
	url string
	cmd *exec.Cmd
}

// StartBinary runs the executable that BinaryEnv names, with JetStream, and
// returns when it accepts connections. The caller ends it.
func StartBinary(tb testing.TB, port int, storeDir string) *Binary {
	tb.Helper()
	cmd := exec.Command(os.Getenv(BinaryEnv), "-a", "127.0.0.1", "-p", strconv.Itoa(port), "-js", "-sd", storeDir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", port)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range 1000 {
		c, err := net.Dial("tcp", address)
		if err == nil {
			_ = c.Close()
			return &Binary{url: "nats://" + address, cmd: cmd}
		}
		<-tick.C
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	tb.Fatalf("%s does not listen on %s", os.Getenv(BinaryEnv), address)
	return nil
}

// URL is where clients connect.
func (b *Binary) URL() string { return b.url }

// Close ends the server in order and waits for it.
func (b *Binary) Close() {
	if b.cmd == nil {
		return
	}
	_ = b.cmd.Process.Signal(syscall.SIGTERM)
	_ = b.cmd.Wait()
	b.cmd = nil
}
