package inbox_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/inbox"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/inbox/internal/crashfs"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/inbox/internal/durable"
)

const filePath = "dir/inbox"

func openOn(t testing.TB, disk *crashfs.FS) *inbox.File {
	t.Helper()
	f, err := inbox.OpenFileOn(disk, filePath, inbox.FileConfig{})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func wantSeen(t testing.TB, f *inbox.File, m *ampybus.Message, want ampybus.Seen) {
	t.Helper()
	got, err := f.Seen(context.Background(), m)
	if err != nil || got != want {
		t.Errorf("Seen is %v, %v, want %v", got, err, want)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestAFileRemembersAcrossARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "inbox")
	f, err := inbox.OpenFile(path, inbox.FileConfig{})
	must(t, err)
	m := with(message("A", "1"), func(m *ampybus.Message) { m.Headers.DedupeKey = "co_1" })
	dead := message("B", "2")
	wantSeen(t, f, m, ampybus.SeenNot)
	must(t, f.Mark(t.Context(), m))
	must(t, f.MarkDead(t.Context(), dead))
	must(t, f.Close())
	must(t, f.Close())

	f, err = inbox.OpenFile(path, inbox.FileConfig{})
	must(t, err)
	defer f.Close()
	wantSeen(t, f, m, ampybus.SeenSame)
	wantSeen(t, f, with(m, func(m *ampybus.Message) { m.Headers.MessageID = strings.ToUpper(m.Headers.MessageID) }), ampybus.SeenSame)
	wantSeen(t, f, with(m, func(m *ampybus.Message) { m.Payload = []byte("2") }), ampybus.SeenIDConflict)
	again := with(message("A", "1"), func(m *ampybus.Message) { m.Headers.DedupeKey = "co_1" })
	wantSeen(t, f, again, ampybus.SeenSame)
	wantSeen(t, f, with(again, func(m *ampybus.Message) { m.Payload = []byte("2") }), ampybus.SeenKeyConflict)
	wantSeen(t, f, with(again, func(m *ampybus.Message) { m.Topic += ".other" }), ampybus.SeenNot)
	wantSeen(t, f, dead, ampybus.SeenSame)
	wantSeen(t, f, redriven(dead), ampybus.SeenNot)
	wantSeen(t, f, message("A", "1"), ampybus.SeenNot)
}

func TestAnInterruptedAttemptIsKnownToTheNext(t *testing.T) {
	disk := crashfs.New()
	f := openOn(t, disk)
	m, other := message("A", "1"), message("B", "2")
	for attempt := range 2 {
		wantSeen(t, f, m, ampybus.SeenNot)
		if f.Interrupted(m) != (attempt > 0) {
			t.Errorf("attempt %d: Interrupted is %v", attempt, f.Interrupted(m))
		}
	}
	f = openOn(t, crashfs.With(disk.Files())) // killed
	wantSeen(t, f, m, ampybus.SeenNot)
	wantSeen(t, f, other, ampybus.SeenNot)
	if !f.Interrupted(m) || f.Interrupted(other) {
		t.Errorf("Interrupted is %v of the one that ran, %v of the other", f.Interrupted(m), f.Interrupted(other))
	}
	must(t, f.Mark(t.Context(), m))
	if f.Interrupted(m) {
		t.Error("a message that was applied is interrupted")
	}
}

func TestARestartForgetsTheSameAsTheProcess(t *testing.T) {
	disk := crashfs.New()
	f, err := inbox.OpenFileOn(disk, filePath, inbox.FileConfig{Limit: 3})
	must(t, err)
	var ms []*ampybus.Message
	for i := range 5 {
		m := message("A", fmt.Sprint(i))
		ms = append(ms, m)
		must(t, f.Mark(t.Context(), m))
	}
	for range 2 {
		for i, m := range ms {
			want := ampybus.SeenSame
			if i < 2 {
				continue // asking would note a start, which takes room
			}
			wantSeen(t, f, m, want)
		}
		f, err = inbox.OpenFileOn(crashfs.With(disk.Files()), filePath, inbox.FileConfig{Limit: 3})
		must(t, err)
	}
	wantSeen(t, f, ms[0], ampybus.SeenNot)
	wantSeen(t, f, ms[1], ampybus.SeenNot)
}

func TestALongFileIsMadeShort(t *testing.T) {
	disk := crashfs.New()
	f, err := inbox.OpenFileOn(disk, filePath, inbox.FileConfig{Limit: 100})
	must(t, err)
	var ms []*ampybus.Message
	longest := int64(0)
	for i := range 3000 {
		m := message("A", fmt.Sprint(i))
		ms = append(ms, m)
		must(t, f.Mark(t.Context(), m))
		longest = max(longest, inbox.FileSize(f))
	}
	if longest > 100<<10 {
		t.Errorf("the file grew to %d bytes", longest)
	}
	f, err = inbox.OpenFileOn(crashfs.With(disk.Files()), filePath, inbox.FileConfig{Limit: 100})
	must(t, err)
	for _, m := range ms[2900:] {
		wantSeen(t, f, m, ampybus.SeenSame)
	}
	wantSeen(t, f, ms[2899], ampybus.SeenNot)
}

// fileStory is what a crash interrupts: marks, and rewrites of the file.
func fileStory(disk *crashfs.FS, ms []*ampybus.Message, tell func(marked int)) error {
	f, err := inbox.OpenFileOn(disk, filePath, inbox.FileConfig{})
	if err != nil {
		return err
	}
	for i, m := range ms {
		if _, err := f.Seen(context.Background(), m); err != nil {
			return err
		}
		if err := f.Mark(context.Background(), m); err != nil {
			return err
		}
		tell(i + 1)
		if i%2 == 1 {
			if err := inbox.Rewrite(f); err != nil {
				return err
			}
		}
	}
	return f.Close()
}

func TestACrashAtEveryStepForgetsNoMark(t *testing.T) {
	ms := []*ampybus.Message{message("A", "1"), message("B", "2"), message("C", "3"), message("D", "4")}
	for _, m := range ms[1:3] {
		m.Headers.DedupeKey = "co_" + string(m.Payload)
	}
	whole := crashfs.New()
	must(t, fileStory(whole, ms, func(int) {}))
	states := 0
	for step := 1; step <= whole.Steps(); step++ {
		disk := crashfs.New()
		disk.CrashAt(step)
		marked := 0
		if err := fileStory(disk, ms, func(n int) { marked = n }); !errors.Is(err, crashfs.ErrCrashed) {
			t.Fatalf("step %d: %v", step, err)
		}
		for _, left := range disk.Survivors() {
			states++
			wantMarks(t, openOn(t, left), ms, marked)
		}
	}
	if states < 4000 {
		t.Errorf("only %d states were tried, want 4000", states)
	}
	t.Logf("%d steps, %d states", whole.Steps(), states)
}

// wantMarks expects the first marked messages known, the next one perhaps and
// as a whole, and the others unknown.
func wantMarks(t *testing.T, f *inbox.File, ms []*ampybus.Message, marked int) {
	t.Helper()
	for i, m := range ms {
		byID, err := f.Seen(t.Context(), m)
		must(t, err)
		byKey := byID
		if m.Headers.DedupeKey != "" {
			byKey, err = f.Seen(t.Context(), with(m, func(m *ampybus.Message) { m.Headers.MessageID = ampybus.NewID() }))
			must(t, err)
		}
		switch {
		case byKey != byID:
			t.Fatalf("message %d: %v by its id, %v by its key", i, byID, byKey)
		case i < marked && byID != ampybus.SeenSame:
			t.Fatalf("message %d of %d that were marked is forgotten", i, marked)
		case i > marked && byID != ampybus.SeenNot:
			t.Fatalf("message %d is %v and only %d were marked", i, byID, marked)
		}
	}
}

func TestADamagedFileIsAnErrorAndNoEmptyOne(t *testing.T) {
	disk := crashfs.New()
	f := openOn(t, disk)
	for i := range 3 {
		must(t, f.Mark(t.Context(), message("A", fmt.Sprint(i))))
	}
	file := disk.Files()[filePath]
	for what, data := range map[string][]byte{
		"empty":         {},
		"flipped":       slices.Concat(file[:60], []byte{file[60] ^ 1}, file[61:]),
		"another thing": []byte("ampy-checkpoint 1 00000000\n"),
	} {
		_, err := inbox.OpenFileOn(crashfs.With(map[string][]byte{filePath: data}), filePath, inbox.FileConfig{})
		if !errors.Is(err, inbox.ErrCorrupt) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestAFullDiskIsAnErrorUntilThereIsRoom(t *testing.T) {
	disk := crashfs.New()
	f := openOn(t, disk)
	m := message("A", "1")
	wantSeen(t, f, m, ampybus.SeenNot)
	full := errors.New("no space left")
	disk.FailAt(disk.Steps()+1, full)
	if err := f.Mark(t.Context(), m); !errors.Is(err, full) {
		t.Fatalf("Mark returned %v", err)
	}
	wantSeen(t, f, m, ampybus.SeenNot)
	must(t, f.Mark(t.Context(), m))
	wantSeen(t, f, m, ampybus.SeenSame)
	wantSeen(t, openOn(t, crashfs.With(disk.Files())), m, ampybus.SeenSame)
}

func TestAFileBelongsToOneProcess(t *testing.T) {
	for _, open := range []func(path string) (interface{ Close() error }, error){
		func(path string) (interface{ Close() error }, error) {
			return inbox.OpenFile(path, inbox.FileConfig{})
		},
		func(path string) (interface{ Close() error }, error) { return inbox.OpenCheckpoint(path) },
	} {
		path := filepath.Join(t.TempDir(), "file")
		first, err := open(path)
		must(t, err)
		if second, err := open(path); err == nil {
			t.Errorf("it was opened twice: %v", second.Close())
		}
		must(t, first.Close())
		again, err := open(path)
		must(t, err)
		must(t, again.Close())
	}
}

func TestAFileServesManyHandlersAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "inbox")
	f, err := inbox.OpenFile(path, inbox.FileConfig{})
	must(t, err)
	defer f.Close()
	var all sync.WaitGroup
	all.Go(func() {
		for range 5 {
			if err := inbox.Rewrite(f); err != nil {
				t.Error(err)
			}
		}
	})
	for i := range 8 {
		all.Go(func() {
			for n := range 10 {
				m := message(fmt.Sprint(i), fmt.Sprint(n))
				if seen, err := f.Seen(t.Context(), m); err != nil || seen != ampybus.SeenNot {
					t.Errorf("Seen is %v, %v", seen, err)
				}
				if err := f.Mark(t.Context(), m); err != nil {
					t.Error(err)
				}
				if seen, err := f.Seen(t.Context(), m); err != nil || seen != ampybus.SeenSame {
					t.Errorf("then Seen is %v, %v", seen, err)
				}
			}
		})
	}
	all.Wait()
}

// FuzzInboxFile opens any bytes as a file, and any bytes as the marks of a
// file that is sound.
func FuzzInboxFile(f *testing.F) {
	disk := crashfs.New()
	store := openOn(f, disk)
	f.Add(disk.Files()[filePath], false)
	m := message("A", "1")
	m.Headers.DedupeKey = "co_1"
	_, err := store.Seen(f.Context(), m)
	must(f, err)
	must(f, store.Mark(f.Context(), m))
	must(f, store.MarkDead(f.Context(), message("B", "2")))
	f.Add(disk.Files()[filePath], false)
	must(f, inbox.Rewrite(store))
	f.Add(disk.Files()[filePath], false)
	f.Add([]byte{}, false)
	f.Add(bytes.Repeat([]byte{3, 0, 0, 0, 1}, 16), true)
	f.Fuzz(func(t *testing.T, data []byte, marks bool) {
		disk := crashfs.With(map[string][]byte{filePath: data})
		if marks {
			disk = crashfs.New()
			log, err := durable.Open(disk, filePath, func([]byte) error { return nil })
			must(t, err)
			must(t, log.Append(data))
		}
		store, err := inbox.OpenFileOn(disk, filePath, inbox.FileConfig{Limit: 4})
		if err != nil {
			if !errors.Is(err, inbox.ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		fresh := message("C", "3")
		wantSeen(t, store, fresh, ampybus.SeenNot)
		must(t, store.Mark(t.Context(), fresh))
		store, err = inbox.OpenFileOn(disk, filePath, inbox.FileConfig{Limit: 4})
		must(t, err)
		wantSeen(t, store, fresh, ampybus.SeenSame)
	})
}
