package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/AmpyFin/ampy-bus/internal/bench"
)

// plotFile is where a plot goes: made beside its place before anything is
// measured, so that a wrong path is known at once, and renamed when it is whole.
type plotFile struct {
	path string
	f    *os.File
}

// openPlot is nil for no path.
func openPlot(path string) (*plotFile, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".plot-*.svg")
	if err != nil {
		return nil, usagef("--plot: %w", err)
	}
	return &plotFile{path, f}, nil
}

// discard removes what was not drawn.
func (p *plotFile) discard() {
	if p == nil || p.f == nil {
		return
	}
	_ = p.f.Close()
	_ = os.Remove(p.f.Name())
}

// draw writes the latencies of a sweep. Where nothing was measured it leaves
// what is there.
func (p *plotFile) draw(f *benchFlags, steps []bench.Step) error {
	if p == nil {
		return nil
	}
	svg, err := bench.Chart{
		Title: "Latency by rate", Note: f.plotNote(), Limit: f.objective,
		Curves: bench.Curves(steps, 50, 99, 99.9),
	}.SVG()
	if err != nil || len(svg) == 0 {
		return err
	}
	_, err = p.f.Write(svg)
	err = errors.Join(err, p.f.Chmod(plotMode), p.f.Sync(), p.f.Close())
	if err == nil {
		err = os.Rename(p.f.Name(), p.path)
	}
	if err != nil {
		return fmt.Errorf("write --plot: %w", err)
	}
	p.f = nil
	return nil
}

// plotMode: a plot is no secret.
const plotMode = 0o644

// plotNote says what was measured.
func (f *benchFlags) plotNote() string {
	note := fmt.Sprintf("%s, %s, %d bytes, %d keys", f.topic, f.mode, f.size.value, f.keys.value)
	if f.callers.value > 0 {
		note += fmt.Sprintf(", %d callers", f.callers.value)
	}
	if f.batch.value > 0 {
		note += fmt.Sprintf(", batches of %d", f.batch.value)
	}
	return note
}
