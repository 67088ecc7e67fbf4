package chaos

import (
	"fmt"
	"net"
	"net/rpc"
	"testing"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// Effect is one effect on its way to a store in another process.
type Effect struct {
	Proc, ID, Key string
	Log, Lane     string
	Pos, Epoch    uint64
	Value         []byte // as stored
}

func (e Effect) message() *ampybus.Message {
	return &ampybus.Message{
		Headers: ampybus.Headers{MessageID: e.ID, PartitionKey: e.Key},
		Log:     e.Log, Lane: e.Lane, Pos: e.Pos, Epoch: e.Epoch,
		Record: driver.Record{Value: e.Value},
	}
}

// desk answers calls to a store.
type desk struct{ s *Store }

// Apply is called by net/rpc.
func (d *desk) Apply(e Effect, o *Outcome) error {
	*o = d.s.Apply(e.Proc, e.message())
	return nil
}

// Serve lets other processes use s at the returned address, until the test ends.
func Serve(tb testing.TB, s *Store) string {
	tb.Helper()
	srv := rpc.NewServer()
	if err := srv.RegisterName("Store", &desk{s}); err != nil {
		tb.Fatal(err)
	}
	l, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go srv.ServeConn(c)
		}
	}()
	return l.Addr().String()
}

// RemoteStore is a Store in another process.
type RemoteStore struct{ c *rpc.Client }

// DialStore connects to a store that Serve serves.
func DialStore(addr string) (*RemoteStore, error) {
	c, err := rpc.Dial("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("dial store: %w", err)
	}
	return &RemoteStore{c}, nil
}

// Apply is Store.Apply.
func (r *RemoteStore) Apply(proc string, m *ampybus.Message) (Outcome, error) {
	var o Outcome
	err := r.c.Call("Store.Apply", Effect{
		Proc: proc, ID: m.Headers.MessageID, Key: m.Headers.PartitionKey,
		Log: m.Log, Lane: m.Lane, Pos: m.Pos, Epoch: m.Epoch, Value: m.Record.Value,
	}, &o)
	if err != nil {
		return 0, fmt.Errorf("apply: %w", err)
	}
	return o, nil
}
