package natsbinding

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// StreamState is a stream that holds topics of the bus.
type StreamState struct {
	Name            string
	Subjects        []string
	Adopted         bool // not made by the bus for one domain: used as it is
	DeadLetters     bool // holds dead letters only
	Records, Bytes  uint64
	First, Last     uint64 // positions of the oldest and newest record
	Consumers       int
	Replicas        int
	Leader          string // empty on a single server
	Memory          bool   // kept in memory, not in files
	MaxAge, Window  time.Duration
	Limited         bool // it has a limit by count or bytes
	RefusesWhenFull bool
	Created         time.Time

	wantWindow time.Duration
	lacks      string // the setting without which records of a key go one by one
}

// Streams lists the streams that hold topics of the bus.
func Streams(ctx context.Context, c Config) ([]StreamState, error) {
	t, err := Dial(c)
	if err != nil {
		return nil, err
	}
	defer func() { _ = t.Close(ctx) }()
	return t.streams(ctx)
}

func (t *Transport) streams(ctx context.Context) ([]StreamState, error) {
	infos, err := t.overlapping(ctx, "ampy.>")
	if err != nil {
		return nil, err
	}
	states := make([]StreamState, 0, len(infos))
	for _, info := range infos {
		states = append(states, t.describe(info))
	}
	slices.SortFunc(states, func(a, b StreamState) int { return strings.Compare(a.Name, b.Name) })
	return states, nil
}

func (t *Transport) describe(info *jetstream.StreamInfo) StreamState {
	c := info.Config
	s := StreamState{
		Name: c.Name, Subjects: c.Subjects, Adopted: true,
		Records: info.State.Msgs, Bytes: info.State.Bytes,
		First: info.State.FirstSeq, Last: info.State.LastSeq,
		Consumers: info.State.Consumers, Replicas: c.Replicas,
		Memory: c.Storage == jetstream.MemoryStorage,
		MaxAge: c.MaxAge, Window: c.Duplicates,
		Limited:         c.MaxMsgs > 0 || c.MaxBytes > 0 || c.MaxMsgsPerSubject > 0,
		RefusesWhenFull: c.Discard == jetstream.DiscardNew,
		Created:         info.Created,
	}
	if info.Cluster != nil {
		s.Leader = info.Cluster.Leader
	}
	for _, subject := range c.Subjects {
		scope := t.cfg.Layout.Scope(subject)
		want, ok := t.cfg.Layout.Stream(scope)
		if ok && want.Name == c.Name && len(c.Subjects) == 1 {
			s.Adopted, s.wantWindow = false, want.Window
			s.DeadLetters = strings.HasSuffix(scope, ".dlq")
			s.lacks = t.lackedSetting(c)
		}
	}
	return s
}

// remarks are the ways in which a stream differs from what the bus makes.
func (s StreamState) remarks() []string {
	var out []string
	say := func(format string, args ...any) { out = append(out, s.Name+": "+fmt.Sprintf(format, args...)) }
	if s.Adopted {
		say("adopted")
	}
	if s.Memory {
		say("in memory")
	}
	if s.Limited && !s.RefusesWhenFull {
		say("drops old records when full")
	}
	if !s.Adopted && s.Window < s.wantWindow {
		say("remembers publish ids for %s, the domain wants %s", s.Window, s.wantWindow)
	}
	return out
}

// syncSetting is the server's sync_interval, or why it is not known.
type syncSetting struct {
	always   bool
	interval time.Duration
	err      error
}

// monitorTimeout and monitorLimit bound the question to the monitoring port.
const (
	monitorTimeout = 2 * time.Second
	monitorLimit   = 4 << 20
)

// readSync asks the monitoring endpoint, which tells what a client cannot see.
func readSync(ctx context.Context, monitor string) syncSetting {
	if monitor == "" {
		return syncSetting{err: errors.New("no monitoring URL given")}
	}
	ctx, cancel := context.WithTimeout(ctx, monitorTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(monitor, "/")+"/jsz?config=1", http.NoBody)
	if err != nil {
		return syncSetting{err: err}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return syncSetting{err: err}
	}
	defer resp.Body.Close()
	var answer struct {
		Config *struct {
			Always   bool          `json:"sync_always"`
			Interval time.Duration `json:"sync_interval"`
		} `json:"config"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, monitorLimit)).Decode(&answer); err != nil {
		return syncSetting{err: fmt.Errorf("%s answers %s: %w", monitor, resp.Status, err)}
	}
	if answer.Config == nil {
		return syncSetting{err: fmt.Errorf("%s does not tell JetStream's configuration", monitor)}
	}
	return syncSetting{always: answer.Config.Always, interval: answer.Config.Interval}
}
