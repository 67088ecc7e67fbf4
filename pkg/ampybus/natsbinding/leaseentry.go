package natsbinding

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// leaseBucket holds one entry per group and lane. The entry is both the lease
// and the group's position: a member that lost the lease cannot write the
// position any more, which makes a commit a true fence. It also holds the
// groups' rosters.
const leaseBucket = "ampy_leases"

// leaseEntry is the value of a key. Its revision changes with every renewal.
type leaseEntry struct {
	Owner  string    `json:"owner"`  // a process's own id; empty: nobody
	Member string    `json:"member"` // for humans
	Epoch  uint64    `json:"epoch"`  // grows with every change of owner
	Floor  uint64    `json:"floor"`  // every position below is finished; 0: not known yet
	Born   time.Time `json:"born"`   // when the stream was made: positions of another one are worthless
	// Last is the newest record that was delivered and finished, or is another
	// share's; At is when it was stored: by these a stream that lost its end is
	// known again.
	Last uint64    `json:"last,omitempty"`
	At   time.Time `json:"at,omitzero"`
	// Passed is where the floor was lifted from over what is not the lane's: from
	// there to the floor lies nothing of its topics. 0: it was not lifted.
	Passed uint64 `json:"passed,omitempty"`
	TTLms  int64  `json:"ttl_ms"` // how long the owner may stay silent
	// Crashes counts owners in a row that let the lease run out while the floor
	// stood still; Started is the position behind
	// what the last one was handling.
	Crashes int    `json:"crashes,omitempty"`
	Started uint64 `json:"started,omitempty"`
	// Gen is the generation of the group's division into shares that the lane
	// belongs to; Closed, that it has ended: see rosterEntry.
	Gen    uint64 `json:"gen,omitempty"`
	Closed bool   `json:"closed,omitempty"`
}

func (e leaseEntry) ttl() time.Duration { return time.Duration(e.TTLms) * time.Millisecond }

// leaseKey is a legal key for a group, whose name is plain, and any lane.
func leaseKey(group, lane string) string {
	key := []byte(group + ".")
	for i := range len(lane) {
		switch c := lane[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '-':
			key = append(key, c)
		default:
			key = fmt.Appendf(key, "=%02X", c)
		}
	}
	return string(key)
}

func leaseSubject(key string) string { return "$KV." + leaseBucket + "." + key }

// leases opens the bucket, making it on first use.
func (t *Transport) leases(ctx context.Context) (jetstream.KeyValue, error) {
	var kv jetstream.KeyValue
	err := t.guard(ctx, "$JS.API.STREAM.", func(ctx context.Context) (err error) {
		if kv, err = t.js.KeyValue(ctx, leaseBucket); !errors.Is(err, jetstream.ErrBucketNotFound) {
			return err
		}
		kv, err = t.js.CreateKeyValue(ctx, jetstream.KeyValueConfig{
			Bucket: leaseBucket, Description: "ampy-bus: owners and positions of groups",
			History: 1, Storage: jetstream.FileStorage, Replicas: t.replicas(3), Metadata: madeBy,
		})
		if errors.Is(err, jetstream.ErrBucketExists) {
			kv, err = t.js.KeyValue(ctx, leaseBucket)
		}
		return err
	})
	if errors.Is(err, driver.ErrPermission) {
		err = fmt.Errorf("%w (an administrator makes it with: nats kv add %s)", err, leaseBucket)
	}
	return kv, requestError("open the lease bucket "+leaseBucket, err)
}

func (t *Transport) readLease(ctx context.Context, kv jetstream.KeyValue, key string) (e leaseEntry, rev uint64, err error) {
	rev, err = t.readEntry(ctx, kv, key, &e)
	return e, rev, err
}

// readEntry fetches an entry of the bucket into e, which must be zero. A
// missing one leaves it so, at revision 0.
func (t *Transport) readEntry(ctx context.Context, kv jetstream.KeyValue, key string, e any) (rev uint64, err error) {
	var v jetstream.KeyValueEntry
	err = t.guard(ctx, "$JS.API.", func(ctx context.Context) (err error) {
		v, err = kv.Get(ctx, key)
		return err
	})
	if errors.Is(err, jetstream.ErrKeyNotFound) || errors.Is(err, jetstream.ErrKeyDeleted) {
		return 0, nil
	}
	if err != nil {
		return 0, requestError("read lease "+key, err)
	}
	if err := json.Unmarshal(v.Value(), e); err != nil {
		return 0, fmt.Errorf("read lease %s: %w: not an entry of ours: delete it to begin at the durable's position", key, err)
	}
	return v.Revision(), nil
}

func (t *Transport) writeEntry(ctx context.Context, kv jetstream.KeyValue, key string, e any, rev uint64) (newRev uint64, conflict bool, err error) {
	value, err := json.Marshal(e)
	if err != nil {
		return 0, false, err
	}
	err = t.guard(ctx, leaseSubject(key), func(ctx context.Context) (err error) {
		if rev == 0 {
			newRev, err = kv.Create(ctx, key, value)
		} else {
			newRev, err = kv.Update(ctx, key, value, rev)
		}
		return err
	})
	if err != nil && isWrongRevision(err) {
		return 0, true, nil
	}
	return newRev, false, requestError("write lease "+key, err)
}

func isWrongRevision(err error) bool {
	const wrongLastSequence, wrongLastSequenceReplicated = 10071, 10164
	return errors.Is(err, jetstream.ErrKeyExists) || hasCode(err, wrongLastSequence) || hasCode(err, wrongLastSequenceReplicated)
}
