package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/AmpyFin/ampy-bus/examples/go/positions"
)

// An Instance is a running instance of the positions service.
type Instance interface {
	// Kill ends it at once, without a word.
	Kill() error
	// Stop lets it finish what it began.
	Stop() error
}

// stopTimeout is longer than a consumer takes to drain (8 s).
const stopTimeout = 15 * time.Second

// process is an instance in a process of its own, which can really be killed.
type process struct {
	cmd   *exec.Cmd
	stdin io.Closer
	ended chan error
}

// child starts instances of the positions service as processes: this program
// itself, with the service's name as its argument.
func (s *Session) child(bus string, stderr io.Writer) func(context.Context, string) (Instance, error) {
	return func(ctx context.Context, name string) (Instance, error) {
		program, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("start %s: %w", name, err)
		}
		c := s.Config
		cmd := exec.CommandContext(ctx, program, positions.Name, //nolint:gosec // it starts itself
			"--bus", bus, "--env", c.Env, "--run", c.RunID, "--instance", name,
			"--since", c.Since.Format(time.RFC3339Nano), "--lease", c.Lease.String(), "--tied")
		cmd.Stderr = stderr
		// Its standard input ends with this process, and so does it.
		stdin, err := cmd.StdinPipe()
		if err != nil {
			return nil, fmt.Errorf("start %s: %w", name, err)
		}
		if err := cmd.Start(); err != nil {
			return nil, fmt.Errorf("start %s: %w", name, err)
		}
		p := &process{cmd: cmd, stdin: stdin, ended: make(chan error, 1)}
		go func() { p.ended <- cmd.Wait() }()
		return p, nil
	}
}

// Kill is kill -9.
func (p *process) Kill() error {
	if err := p.cmd.Process.Kill(); err != nil {
		return fmt.Errorf("kill %d: %w", p.cmd.Process.Pid, err)
	}
	err := <-p.ended
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signal() == syscall.SIGKILL {
			return nil
		}
	}
	return fmt.Errorf("process %d ended before it was killed: %w", p.cmd.Process.Pid, err)
}

// Stop is SIGTERM.
func (p *process) Stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop %d: %w", p.cmd.Process.Pid, err)
	}
	select {
	case err := <-p.ended:
		return err
	case <-time.After(stopTimeout):
		return errors.Join(fmt.Errorf("process %d does not end", p.cmd.Process.Pid), p.cmd.Process.Kill())
	}
}
