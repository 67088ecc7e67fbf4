package chaos

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	Main(map[string]Role{"waiter": waiter}, func() { m.Run() })
}

// waiter says what it was told and waits for SIGTERM.
func waiter(args []byte) error {
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM)
	Say("told", string(args))
	<-end
	return nil
}

func TestAChildIsToldItsRoleAndEndsInOrder(t *testing.T) {
	c := Start(t, "waiter", 42)
	if got := c.Await(t, "told"); got != "42" {
		t.Errorf("told %s", got)
	}
	if took, err := c.Terminate(); err != nil || took > 10*time.Second {
		t.Errorf("ended after %v with %v", took, err)
	}
}

func TestAKilledChildIsGone(t *testing.T) {
	c := Start(t, "waiter", 0)
	c.Await(t, "told")
	c.Kill()
	var exit *exec.ExitError
	if !errors.As(c.err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Errorf("ended with %v", c.err)
	}
}

func TestAFrozenChildGoesOnWhenItIsWoken(t *testing.T) {
	c := Start(t, "waiter", 0)
	c.Await(t, "told")
	c.Stop()
	ended := make(chan error, 1)
	go func() { _, err := c.Terminate(); ended <- err }()
	select {
	case err := <-ended:
		t.Errorf("a frozen process ended: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	c.Continue()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestARoleThatDoesNotExistFails(t *testing.T) {
	c := Start(t, "nobody", 0)
	<-c.Done()
	if c.err == nil {
		t.Error("the child ended well")
	}
}
