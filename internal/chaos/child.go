package chaos

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const childEnv = "AMPY_CHAOS_CHILD"

// spec is what a child is told.
type spec struct {
	Role string
	Args json.RawMessage
}

// Role is what the test binary does as a child. args is what Start was given,
// as JSON. What it prints on stdout reaches the parent, line by line.
type Role func(args []byte) error

// Main runs a role if this process is a child, and tests otherwise. A package
// that uses Start calls it from TestMain.
func Main(roles map[string]Role, tests func()) {
	text := os.Getenv(childEnv)
	if text == "" {
		tests()
		return
	}
	if err := play(text, roles); err != nil {
		fmt.Fprintln(os.Stderr, "child:", err)
		os.Exit(1) //nolint:forbidigo // the test binary is a program of its own here
	}
	os.Exit(0) //nolint:forbidigo // as above
}

func play(text string, roles map[string]Role) error {
	var s spec
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return fmt.Errorf("read role: %w", err)
	}
	role := roles[s.Role]
	if role == nil {
		return fmt.Errorf("no role %q", s.Role)
	}
	return role(s.Args)
}

// Say tells the parent a line.
func Say(words ...string) {
	fmt.Fprintln(os.Stdout, strings.Join(words, " "))
}

// Child is a process of the test's own binary.
type Child struct {
	cmd   *exec.Cmd
	lines chan string
	done  chan struct{}
	err   error // of Wait, set before done is closed
	once  sync.Once
}

// Start starts this binary again in a role, until the test ends.
func Start(tb testing.TB, role string, args any) *Child {
	tb.Helper()
	raw, err := json.Marshal(args)
	if err != nil {
		tb.Fatal(err)
	}
	text, err := json.Marshal(spec{role, raw})
	if err != nil {
		tb.Fatal(err)
	}
	cmd := exec.CommandContext(context.Background(), os.Args[0]) //nolint:gosec // it is this very program
	c := &Child{cmd: cmd, lines: make(chan string, 64), done: make(chan struct{})}
	c.cmd.Env = append(os.Environ(), childEnv+"="+string(text))
	c.cmd.Stderr = os.Stderr
	// A child must not outlive a test that is itself killed.
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	go func() {
		for s := bufio.NewScanner(out); s.Scan(); {
			c.lines <- s.Text()
		}
		c.err = c.cmd.Wait()
		close(c.lines)
		close(c.done)
	}()
	tb.Cleanup(c.Kill)
	return c
}

// Await reads lines until one begins with word, and returns the rest of it. It
// fails the test when the child ends first, or after a minute.
func (c *Child) Await(tb testing.TB, word string) string {
	tb.Helper()
	limit := time.NewTimer(time.Minute)
	defer limit.Stop()
	for {
		select {
		case line, ok := <-c.lines:
			if !ok {
				tb.Fatalf("the child ended before it said %q: %v", word, c.err)
			}
			if rest, found := strings.CutPrefix(line, word); found {
				return strings.TrimSpace(rest)
			}
		case <-limit.C:
			tb.Fatalf("the child did not say %q", word)
		}
	}
}

// Kill ends the process as a crash does (SIGKILL), and waits for its end.
func (c *Child) Kill() {
	c.once.Do(func() { go c.drain() })
	_ = c.cmd.Process.Kill()
	<-c.done
}

// drain lets a child that nobody listens to any more go on.
func (c *Child) drain() {
	for range c.lines {
	}
}

// Terminate asks the process to end (SIGTERM) and returns how it ended, after
// how long.
func (c *Child) Terminate() (time.Duration, error) {
	start := time.Now()
	c.once.Do(func() { go c.drain() })
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	<-c.done
	return time.Since(start), c.err
}

// Stop freezes the process (SIGSTOP) until Continue.
func (c *Child) Stop() { _ = c.cmd.Process.Signal(syscall.SIGSTOP) }

// Continue wakes a frozen process.
func (c *Child) Continue() { _ = c.cmd.Process.Signal(syscall.SIGCONT) }

// Done is closed when the process has ended.
func (c *Child) Done() <-chan struct{} { return c.done }
