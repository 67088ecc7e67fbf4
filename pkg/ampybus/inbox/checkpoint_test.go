package inbox_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"testing"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/inbox"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/inbox/internal/crashfs"
)

func TestACheckpointRemembersEachLane(t *testing.T) {
	path := filepath.Join(t.TempDir(), "checkpoint")
	c, err := inbox.OpenCheckpoint(path)
	must(t, err)
	const odd = "a \"lane\"\nwith é\xff in it"
	if p := c.Position(lane); p != (inbox.Position{}) {
		t.Errorf("a new lane is at %+v", p)
	}
	must(t, c.Save(lane, 1, 7))
	must(t, c.Save(odd, 3, 1<<63))
	must(t, c.Close())
	if err := c.Save(lane, 1, 8); err == nil {
		t.Error("a closed checkpoint was saved")
	}
	c, err = inbox.OpenCheckpoint(path)
	must(t, err)
	defer c.Close()
	if want := map[string]uint64{lane: 7, odd: 1 << 63}; !maps.Equal(c.From(), want) {
		t.Errorf("positions are %v, want %v", c.From(), want)
	}
	if got, want := c.Position(odd), (inbox.Position{Epoch: 3, Next: 1 << 63}); got != want {
		t.Errorf("position is %+v, want %+v", got, want)
	}
}

func TestACheckpointNeverGoesBack(t *testing.T) {
	c, err := inbox.OpenCheckpointOn(crashfs.New(), filePath)
	must(t, err)
	must(t, c.Save(lane, 2, 7))
	must(t, c.Save(lane, 2, 5))
	must(t, c.Save(lane, 3, 6))
	wantFenced(t, c.Save(lane, 2, 9))
	if got, want := c.Position(lane), (inbox.Position{Epoch: 3, Next: 7}); got != want {
		t.Errorf("position is %+v, want %+v", got, want)
	}
}

func TestACheckpointIsTheOldOneOrTheNewAfterACrashAtEveryStep(t *testing.T) {
	story := func(disk *crashfs.FS, tell func(next uint64)) error {
		c, err := inbox.OpenCheckpointOn(disk, filePath)
		for i := uint64(1); err == nil && i <= 15; i++ {
			if err = c.Save(lane, 1, i*1000); err == nil {
				tell(i * 1000)
			}
		}
		return err
	}
	whole := crashfs.New()
	must(t, story(whole, func(uint64) {}))
	states := 0
	for step := 1; step <= whole.Steps(); step++ {
		disk := crashfs.New()
		disk.CrashAt(step)
		saved := uint64(0)
		if err := story(disk, func(n uint64) { saved = n }); !errors.Is(err, crashfs.ErrCrashed) {
			t.Fatalf("step %d: %v", step, err)
		}
		for _, left := range disk.Survivors() {
			states++
			c, err := inbox.OpenCheckpointOn(left, filePath)
			must(t, err)
			if got := c.Position(lane).Next; got != saved && got != saved+1000 {
				t.Fatalf("step %d: position %d, saved was %d", step, got, saved)
			}
		}
	}
	if states < 4000 {
		t.Errorf("only %d states were tried, want 4000", states)
	}
	t.Logf("%d steps, %d states", whole.Steps(), states)
}

func TestAFailedSaveBreaksACheckpoint(t *testing.T) {
	for step := 1; step <= 5; step++ { // create, write, sync, rename, sync of the directory
		disk := crashfs.New()
		c, err := inbox.OpenCheckpointOn(disk, filePath)
		must(t, err)
		must(t, c.Save(lane, 1, 7))
		disk.FailAt(disk.Steps()+step, errors.New("input/output error"))
		for range 2 {
			if err := c.Save(lane, 1, 8); !errors.Is(err, inbox.ErrBroken) {
				t.Errorf("step %d: Save returned %v", step, err)
			}
		}
		c, err = inbox.OpenCheckpointOn(crashfs.With(disk.Files()), filePath)
		must(t, err)
		if got := c.Position(lane).Next; got != 7 && got != 8 {
			t.Errorf("step %d: position %d", step, got)
		}
	}
}

func TestADamagedCheckpointIsAnErrorAndNoStartFromZero(t *testing.T) {
	disk := crashfs.New()
	c, err := inbox.OpenCheckpointOn(disk, filePath)
	must(t, err)
	must(t, c.Save(lane, 1, 70))
	must(t, c.Save("ampy.dev.orders", 2, 80))
	file := disk.Files()[filePath]
	broken := func(what string, data []byte) {
		t.Helper()
		c, err := inbox.OpenCheckpointOn(crashfs.With(map[string][]byte{filePath: data}), filePath)
		if !errors.Is(err, inbox.ErrCorrupt) {
			t.Fatalf("%s: %v, %v", what, c, err)
		}
	}
	for cut := range file {
		broken(fmt.Sprintf("cut at byte %d", cut), file[:cut])
	}
	for bit := range len(file) * 8 {
		flipped := bytes.Clone(file)
		flipped[bit/8] ^= 1 << (bit % 8)
		broken(fmt.Sprintf("bit %d of byte %d", bit%8, bit/8), flipped)
	}
	broken("longer", append(bytes.Clone(file), '\n'))
	broken("twice", append(bytes.Clone(file), file...))
}

func FuzzCheckpointFile(f *testing.F) {
	disk := crashfs.New()
	c, err := inbox.OpenCheckpointOn(disk, filePath)
	must(f, err)
	must(f, c.Save(lane, 1, 70))
	f.Add(disk.Files()[filePath])
	must(f, c.Save("é\n", 1<<60, 80))
	f.Add(disk.Files()[filePath])
	f.Add([]byte{})
	f.Add([]byte("ampy-checkpoint 1 00000000\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		disk := crashfs.With(map[string][]byte{filePath: data})
		c, err := inbox.OpenCheckpointOn(disk, filePath)
		if err != nil {
			if !errors.Is(err, inbox.ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		was := c.From()
		must(t, ignoreFenced(c.Save("another", 1, 1)))
		c, err = inbox.OpenCheckpointOn(disk, filePath)
		must(t, err)
		for lane, next := range was {
			if c.Position(lane).Next < next {
				t.Fatalf("%q went back from %d to %d", lane, next, c.Position(lane).Next)
			}
		}
	})
}

func ignoreFenced(err error) error {
	if errors.Is(err, ampybus.ErrFenced) {
		return nil
	}
	return err
}
