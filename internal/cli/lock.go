package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// lockStore keeps a second server of ours off a data directory: two servers
// writing there destroy it. The lock goes with the process, however it ends.
func lockStore(dir string) (unlock func(), err error) {
	if dir == "" {
		return func() {}, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, usagef("--store-dir: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "server.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, usagef("--store-dir: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("--store-dir: another server uses %s: %w", dir, err)
	}
	return func() { _ = f.Close() }, nil
}
