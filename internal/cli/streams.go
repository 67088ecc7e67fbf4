package cli

import (
	"io"
	"os"
)

// Streams are what a command reads and writes.
type Streams struct {
	In  io.Reader
	Out io.Writer // data
	Err io.Writer // all else
	// InTerminal and ErrTerminal report that a person sits there: payloads are
	// not read from such an In, progress is drawn on such an Err only.
	InTerminal, ErrTerminal bool
}

// OSStreams are those of the process.
func OSStreams() Streams {
	return Streams{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr,
		InTerminal: isTerminal(os.Stdin), ErrTerminal: isTerminal(os.Stderr),
	}
}

// isTerminal takes every character device for a terminal. /dev/null is one too:
// nothing is read from it and nobody sees what is drawn there.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
