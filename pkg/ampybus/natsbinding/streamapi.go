package natsbinding

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// madeBy marks streams, buckets and consumers of ours for people and tools.
var madeBy = map[string]string{"ampy_bus": "1"}

// overlapping lists the streams that hold any subject of pattern.
func (t *Transport) overlapping(ctx context.Context, pattern string) ([]*jetstream.StreamInfo, error) {
	var names []string
	err := t.guard(ctx, "$JS.API.STREAM.NAMES", func(ctx context.Context) error {
		lister := t.js.StreamNames(ctx, jetstream.WithStreamListSubject(pattern))
		for name := range lister.Name() {
			names = append(names, name)
		}
		return lister.Err()
	})
	if err != nil && !errors.Is(err, jetstream.ErrEndOfData) {
		return nil, requestError("list streams on "+pattern, err)
	}
	var infos []*jetstream.StreamInfo
	for _, name := range names {
		info, err := t.streamInfo(ctx, name)
		switch {
		case errors.Is(err, driver.ErrNoLog):
			continue
		case err != nil:
			return nil, err
		}
		infos = append(infos, info)
	}
	return infos, nil
}

func (t *Transport) streamInfo(ctx context.Context, name string) (*jetstream.StreamInfo, error) {
	var info *jetstream.StreamInfo
	err := t.guard(ctx, "$JS.API.STREAM.INFO."+name, func(ctx context.Context) error {
		s, err := t.js.Stream(ctx, name)
		if err == nil {
			info = s.CachedInfo()
		}
		return err
	})
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, fmt.Errorf("stream %s: %w", name, driver.ErrNoLog)
	}
	return info, requestError("read stream "+name, err)
}

// makeStream creates a stream. Two processes may do so at once: the server
// answers the second one as the first when both ask for the same.
func (t *Transport) makeStream(ctx context.Context, s Stream) error {
	c := jetstream.StreamConfig{
		Name: s.Name, Subjects: []string{s.Subject},
		MaxAge: s.MaxAge, Duplicates: s.Window,
		Replicas: t.replicas(s.Replicas),
		// A full stream refuses: dropping old records would lose what no
		// consumer has seen yet, in silence.
		Discard: jetstream.DiscardNew,
		Storage: jetstream.FileStorage, AllowDirect: true, Metadata: madeBy,
		AllowAtomicPublish: t.atLeast(2, 12), AllowBatchPublish: t.atLeast(2, 14),
	}
	err := t.guard(ctx, "$JS.API.STREAM.CREATE."+c.Name, func(ctx context.Context) error {
		_, err := t.js.CreateStream(ctx, c)
		return err
	})
	return t.shortOfPeers(requestError("make stream "+s.Name, err), c.Replicas)
}

// shortOfPeers adds advice where the cluster cannot place the replicas now.
// Fewer are made only on request: nobody would notice them later.
func (t *Transport) shortOfPeers(err error, replicas int) error {
	if !hasCode(err, codeNoPeers) {
		return err
	}
	return fmt.Errorf("%w: %d servers with JetStream must be up; set Replicas to be content with fewer", err, replicas)
}

func isTaken(err error) bool {
	return errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) || hasCode(err, codeSubjectOverlap)
}

// replicas is what a stream or bucket gets: on a single server always one. In a
// cluster it does not depend on how many servers happen to be up.
func (t *Transport) replicas(want int) int {
	if t.cfg.Replicas > 0 {
		return t.cfg.Replicas
	}
	if t.nc.ConnectedClusterName() == "" || want < 1 {
		return 1
	}
	return want
}

// atLeast compares the connected server's version.
func (t *Transport) atLeast(major, minor int) bool { //nolint:unparam // reads as a version at the call
	var a, b int
	if n, _ := fmt.Sscanf(strings.TrimPrefix(t.nc.ConnectedServerVersion(), "v"), "%d.%d", &a, &b); n != 2 {
		return false
	}
	return a > major || a == major && b >= minor
}
