//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package durable

import (
	"fmt"
	"os"
	"syscall"
)

// Lock keeps other processes from the file at path until release is called or
// the process ends, by a lock on a file beside it: path itself is replaced.
func Lock(path string) (release func() error, err error) {
	f, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, private)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("lock %s: another process, or this one, has it open: %w", path, err)
	}
	return f.Close, nil
}
