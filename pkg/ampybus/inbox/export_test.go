package inbox

import "github.com/AmpyFin/ampy-bus/pkg/ampybus/inbox/internal/durable"

// The files on a file system that tests can crash.

func OpenFileOn(fsys durable.FS, path string, c FileConfig) (*File, error) {
	return openFile(fsys, path, c)
}

func OpenCheckpointOn(fsys durable.FS, path string) (*Checkpoint, error) {
	return openCheckpoint(fsys, path)
}

// FileSize is the length of f's log.
func FileSize(f *File) int64 { return f.log.Size() }

// Rewrite makes f's log anew.
func Rewrite(f *File) error {
	return f.log.Rewrite(func() [][]byte {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.known.bodies()
	})
}
