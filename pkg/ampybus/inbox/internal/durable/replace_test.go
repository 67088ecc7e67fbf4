package durable_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/inbox/internal/crashfs"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/inbox/internal/durable"
)

func TestAReplacedFileIsTheOldOneOrTheNew(t *testing.T) {
	const old, next = "the old content", "another, new content"
	states := 0
	for _, broken := range []func(*crashfs.FS, int){
		func(f *crashfs.FS, step int) { f.CrashAt(step) },
		func(f *crashfs.FS, step int) { f.FailAt(step, errors.New("input/output error")) },
	} {
		for step := 1; ; step++ {
			disk := crashfs.With(map[string][]byte{path: []byte(old)})
			broken(disk, step)
			err := durable.Replace(disk, path, []byte(next))
			for _, left := range disk.Survivors() {
				states++
				got := string(left.Files()[path])
				if got != next && (err == nil || got != old) {
					t.Fatalf("step %d (%v): %q", step, err, got)
				}
			}
			if err == nil {
				break
			}
		}
	}
	if states < 100 {
		t.Errorf("only %d states were tried", states)
	}
	t.Log(fmt.Sprint(states, " states"))
}
