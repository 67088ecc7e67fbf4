package inbox

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/inbox/internal/durable"
)

// Checkpoint keeps, in one small file, the position of each lane below which
// everything is finished. It is for who reads logs without a group, which has
// no position at the broker, and applies messages in order. As with a File, a
// crash between an effect and Save repeats the effect.
//
// Its methods may be called from several goroutines; one process at a time can
// open a file.
type Checkpoint struct {
	fsys   durable.FS
	path   string
	unlock func() error

	mu     sync.Mutex
	lanes  map[string]Position
	broken error
}

// Position is a lane's progress.
type Position struct {
	Epoch uint64 // of the owner that saved it; 0 without owners
	Next  uint64 // everything below is finished
}

// OpenCheckpoint opens the file at path. Where no file is, every lane is at its
// beginning. A file that is not whole is an error that matches ErrCorrupt.
func OpenCheckpoint(path string) (*Checkpoint, error) {
	unlock, err := durable.Lock(path)
	if err != nil {
		return nil, err
	}
	c, err := openCheckpoint(durable.OS{}, path)
	if err != nil {
		return nil, errors.Join(err, unlock())
	}
	c.unlock = unlock
	return c, nil
}

func openCheckpoint(fsys durable.FS, path string) (*Checkpoint, error) {
	c := &Checkpoint{fsys: fsys, path: path, unlock: func() error { return nil }}
	data, err := fsys.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		c.lanes = make(map[string]Position)
		return c, nil
	case err != nil:
		return nil, fmt.Errorf("open checkpoint: %w", err)
	}
	if c.lanes, err = decodeCheckpoint(data); err != nil {
		return nil, fmt.Errorf("open checkpoint %s: %w", path, err)
	}
	return c, nil
}

// Position is what was saved for a lane; zero for one that is new.
func (c *Checkpoint) Position(lane string) Position {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lanes[lane]
}

// From is the position of every lane, as driver.ReadConfig takes it.
func (c *Checkpoint) From() map[string]uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	from := make(map[string]uint64, len(c.lanes))
	for lane, p := range c.lanes {
		from[lane] = p.Next
	}
	return from
}

// Save records that the owner of a lane at epoch has finished everything below
// next, and returns when that is on disk. An epoch lower than the recorded one
// is refused with ampybus.ErrFenced. A position never goes down: a lower next
// leaves it. After an error that matches ErrBroken the old position or the new
// one is on disk; open the file again.
func (c *Checkpoint) Save(lane string, epoch, next uint64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken != nil {
		return c.broken
	}
	was := c.lanes[lane]
	if epoch < was.Epoch {
		return fmt.Errorf("save position of %s at epoch %d, behind %d: %w", lane, epoch, was.Epoch, ampybus.ErrFenced)
	}
	now := Position{Epoch: epoch, Next: max(next, was.Next)}
	if now == was {
		return nil
	}
	lanes := maps.Clone(c.lanes)
	lanes[lane] = now
	if err := durable.Replace(c.fsys, c.path, encodeCheckpoint(lanes)); err != nil {
		c.broken = fmt.Errorf("save position of %s: %w: %w", lane, ErrBroken, err)
		return c.broken
	}
	c.lanes = lanes
	return nil
}

// Close lets another process open the file. It may be called twice.
func (c *Checkpoint) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.broken = fmt.Errorf("save position: %w", fs.ErrClosed)
	err := c.unlock()
	c.unlock = func() error { return nil }
	return err
}

// The file is text: a line with the checksum of the rest, and a line for each
// lane, sorted by name.
const checkpointMagic = "ampy-checkpoint 1"

func encodeCheckpoint(lanes map[string]Position) []byte {
	var rest strings.Builder
	for _, lane := range slices.Sorted(maps.Keys(lanes)) {
		fmt.Fprintf(&rest, "%d %d %q\n", lanes[lane].Epoch, lanes[lane].Next, lane)
	}
	sum := crc32.Checksum([]byte(rest.String()), crc32.MakeTable(crc32.Castagnoli))
	return fmt.Appendf(nil, "%s %08x\n%s", checkpointMagic, sum, rest.String())
}

// decodeCheckpoint reads what encodeCheckpoint writes, and nothing else: what
// does not encode to the same bytes is corrupt.
func decodeCheckpoint(data []byte) (map[string]Position, error) {
	head, rest, _ := strings.Cut(string(data), "\n")
	if !strings.HasPrefix(head, checkpointMagic) {
		return nil, fmt.Errorf("no checkpoint: %w", ErrCorrupt)
	}
	lanes := make(map[string]Position)
	for line := range strings.Lines(rest) {
		var lane string
		var p Position
		if _, err := fmt.Sscanf(line, "%d %d %q\n", &p.Epoch, &p.Next, &lane); err != nil {
			return nil, fmt.Errorf("line %q: %w", line, ErrCorrupt)
		}
		lanes[lane] = p
	}
	if string(encodeCheckpoint(lanes)) != string(data) {
		return nil, fmt.Errorf("the checksum does not match: %w", ErrCorrupt)
	}
	return lanes, nil
}
