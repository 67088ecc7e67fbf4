package durable_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/inbox/internal/crashfs"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/inbox/internal/durable"
)

const path = "dir/log"

// logged is a log with what it has applied.
type logged struct {
	*durable.Log
	state []byte
}

func open(fsys durable.FS) (*logged, error) {
	l := new(logged)
	var err error
	l.Log, err = durable.Open(fsys, path, func(body []byte) error {
		l.state = append(l.state, body...)
		return nil
	})
	return l, err
}

func (l *logged) rewrite() error {
	return l.Rewrite(func() [][]byte {
		half := len(l.state) / 2
		return [][]byte{l.state[:half], l.state[half:]}
	})
}

// story is what a crash interrupts. It tells, after each step, the state that
// must be there (old) and the one that may be (next).
func story(fsys durable.FS, tell func(old, next string)) error {
	tell("", "")
	l, err := open(fsys)
	if err != nil {
		return err
	}
	for i, body := range []string{"alpha.", "be.", "rewrite", "gamma-gamma-gamma.", "rewrite", "delta.", "epsilon."} {
		old := string(l.state)
		if body == "rewrite" {
			tell(old, old)
			err = l.rewrite()
		} else {
			tell(old, old+body)
			err = l.Append([]byte(body))
		}
		if err != nil {
			return fmt.Errorf("step %d: %w", i, err)
		}
		tell(string(l.state), string(l.state))
	}
	return l.Close()
}

func TestACrashAtEveryStepLeavesTheOldStateOrTheNew(t *testing.T) {
	whole := crashfs.New()
	if err := story(whole, func(string, string) {}); err != nil {
		t.Fatal(err)
	}
	states := 0
	for step := 1; step <= whole.Steps(); step++ {
		disk := crashfs.New()
		disk.CrashAt(step)
		var old, next string
		if err := story(disk, func(o, n string) { old, next = o, n }); !errors.Is(err, crashfs.ErrCrashed) {
			t.Fatalf("step %d: %v", step, err)
		}
		for _, left := range disk.Survivors() {
			states += recovers(t, fmt.Sprintf("step %d", step), left, old, next)
		}
	}
	const least = 4000
	if states < least {
		t.Errorf("only %d states were tried, want %d", states, least)
	}
	t.Logf("%d steps, %d states", whole.Steps(), states)
}

// recovers opens what a crash left, also with a second crash at every step of
// the recovery, and returns how many states that were.
func recovers(t *testing.T, when string, disk *crashfs.FS, old, next string) (states int) {
	t.Helper()
	files := disk.Files()
	recovered := wantState(t, when, disk, old, next)
	states = 1
	for step := 1; step <= recovered; step++ {
		again := crashfs.With(files)
		again.CrashAt(step)
		if _, err := open(again); !errors.Is(err, crashfs.ErrCrashed) {
			t.Fatalf("%s: recovery crashed at step %d: %v", when, step, err)
		}
		for _, left := range again.Survivors() {
			wantState(t, fmt.Sprintf("%s, step %d of its recovery", when, step), left, old, next)
			states++
		}
	}
	return states
}

// wantState opens a disk, expects one of two states, and goes on with the log.
// It returns the steps of the opening.
func wantState(t *testing.T, when string, disk *crashfs.FS, old, next string) int {
	t.Helper()
	l, err := open(disk)
	if err != nil {
		t.Fatalf("%s: %v", when, err)
	}
	steps := disk.Steps()
	got := string(l.state)
	if got != old && got != next {
		t.Fatalf("%s: recovered %q, want %q or %q", when, got, old, next)
	}
	if err := l.Append([]byte("omega.")); err != nil {
		t.Fatalf("%s: append after recovery: %v", when, err)
	}
	if again, err := open(crashfs.With(disk.Files())); err != nil || string(again.state) != got+"omega." {
		t.Fatalf("%s: then recovered %q: %v", when, again.state, err)
	}
	return steps
}

func TestAStepThatFailsLosesNothingThatWasAcknowledged(t *testing.T) {
	full := errors.New("no space left")
	whole := crashfs.New()
	if err := story(whole, func(string, string) {}); err != nil {
		t.Fatal(err)
	}
	wentOn := 0
	for step := 1; step <= whole.Steps(); step++ {
		disk := crashfs.New()
		disk.FailAt(step, full)
		var want []byte
		l, err := open(disk)
		if err != nil {
			continue // nothing was acknowledged
		}
		for i := range 8 {
			body := fmt.Sprintf("<%d>", i)
			if err := l.Append([]byte(body)); err == nil {
				want = append(want, body...)
			} else if !errors.Is(err, full) {
				t.Fatalf("step %d: append %d: %v", step, i, err)
			} else if !errors.Is(err, durable.ErrBroken) {
				wentOn++
			}
			if i == 3 {
				_ = l.rewrite()
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		again, err := open(crashfs.With(disk.Files()))
		if err != nil {
			t.Fatalf("step %d: %v", step, err)
		}
		// What was refused by a log that then broke may be there, at the end.
		if !bytes.HasPrefix(again.state, want) || strings.Count(string(again.state[len(want):]), "<") > 1 {
			t.Errorf("step %d: %q is there, %q was acknowledged", step, again.state, want)
		}
	}
	if wentOn == 0 {
		t.Error("no log went on behind a write that failed")
	}
}

func TestALogThatCannotSyncIsBroken(t *testing.T) {
	disk := crashfs.New()
	l, err := open(disk)
	if err != nil {
		t.Fatal(err)
	}
	disk.FailAt(disk.Steps()+2, errors.New("input/output error")) // the write, then the sync
	for range 2 {
		if err := l.Append([]byte("a.")); !errors.Is(err, durable.ErrBroken) {
			t.Errorf("append returned %v", err)
		}
	}
	if err := l.rewrite(); !errors.Is(err, durable.ErrBroken) {
		t.Errorf("rewrite returned %v", err)
	}
}

// sample is a log of two bodies written as a whole and three appended, and the
// states at the ends of its frames.
func sample(t *testing.T) (file []byte, ends map[int]string) {
	t.Helper()
	disk := crashfs.New()
	l, err := open(disk)
	if err != nil {
		t.Fatal(err)
	}
	ends = make(map[int]string)
	note := func() { ends[len(disk.Files()[path])] = string(l.state) }
	for _, body := range []string{"alpha.", "beta.", "", "gamma.", "delta.", "epsilon."} {
		if body == "" {
			err = l.rewrite()
			clear(ends)
		} else {
			err = l.Append([]byte(body))
		}
		if err != nil {
			t.Fatal(err)
		}
		note()
	}
	return disk.Files()[path], ends
}

func openBytes(file []byte) (*logged, error) {
	return open(crashfs.With(map[string][]byte{path: file}))
}

func TestAFileCutAtAnyByteIsAnEarlierStateOrAnError(t *testing.T) {
	file, ends := sample(t)
	base := len(file)
	for end := range ends {
		base = min(base, end)
	}
	for cut := range len(file) + 1 {
		l, err := openBytes(file[:cut])
		if cut < base {
			if !errors.Is(err, durable.ErrCorrupt) {
				t.Fatalf("cut at %d, before the end of what was written whole at %d: %v", cut, base, err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		last := base
		for end := range ends {
			if end <= cut {
				last = max(last, end)
			}
		}
		if string(l.state) != ends[last] {
			t.Fatalf("cut at %d: %q, want %q", cut, l.state, ends[last])
		}
	}
}

func TestAFlippedBitIsAnErrorOrATornLastAppend(t *testing.T) {
	file, ends := sample(t)
	lastFrame, full := 0, len(file)
	for end := range ends {
		if end < full {
			lastFrame = max(lastFrame, end)
		}
	}
	for bit := range full * 8 {
		flipped := bytes.Clone(file)
		flipped[bit/8] ^= 1 << (bit % 8)
		l, err := openBytes(flipped)
		switch {
		case errors.Is(err, durable.ErrCorrupt):
		case err == nil && bit/8 >= lastFrame && string(l.state) == ends[lastFrame]:
		default:
			t.Fatalf("bit %d of byte %d: %q, %v", bit%8, bit/8, l.state, err)
		}
	}
}

func TestFramesThatAreNotInSequenceAreAnError(t *testing.T) {
	file, ends := sample(t)
	var at []int
	for end := range len(file) + 1 {
		if _, ok := ends[end]; ok {
			at = append(at, end)
		}
	}
	base, a, b := file[:at[0]], file[at[0]:at[1]], file[at[1]:at[2]]
	rest := file[at[2]:]
	for what, frames := range map[string][][]byte{
		"missing": {base, b, rest}, "twice": {base, a, a, b, rest}, "swapped": {base, b, a, rest},
		"base twice": {base, base[8:], a}, "another file behind": {file, file},
	} {
		if l, err := openBytes(bytes.Join(frames, nil)); !errors.Is(err, durable.ErrCorrupt) {
			t.Errorf("%s: %q, %v", what, l.state, err)
		}
	}
}

func TestWhatIsNoLogIsAnErrorAndNoEmptyStart(t *testing.T) {
	for _, file := range []string{"", "AMPY", "AMPYLOG1", "AMPYLOG2" + strings.Repeat("\x00", 40), strings.Repeat("\x00", 4096), "{}\n"} {
		if l, err := openBytes([]byte(file)); !errors.Is(err, durable.ErrCorrupt) {
			t.Errorf("%q: %q, %v", file, l.state, err)
		}
	}
}

func TestABodyThatCannotBeAppliedIsAnErrorOfOpen(t *testing.T) {
	file, _ := sample(t)
	refused := errors.New("refused")
	_, err := durable.Open(crashfs.With(map[string][]byte{path: file}), path, func([]byte) error { return refused })
	if !errors.Is(err, refused) {
		t.Errorf("error is %v", err)
	}
}

func TestAppendsOfManyAreAllThereAfterARestart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log")
	var before []byte
	l, err := durable.Open(durable.OS{}, file, func(body []byte) error { before = append(before, body...); return nil })
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for n := range 10 {
				if err := l.Append(fmt.Appendf(nil, "<%d-%d>", i, n)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Go(func() {
		if err := l.Rewrite(func() [][]byte { return [][]byte{before} }); err != nil {
			t.Error(err)
		}
	})
	all.Wait()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.Append([]byte("late")); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("append to a closed log: %v", err)
	}
	var after []byte
	again, err := durable.Open(durable.OS{}, file, func(body []byte) error { after = append(after, body...); return nil })
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if !bytes.Equal(before, after) || bytes.Count(after, []byte("<")) != 80 {
		t.Errorf("%d bytes before the restart, %d after", len(before), len(after))
	}
}
