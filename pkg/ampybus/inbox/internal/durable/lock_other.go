//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package durable

// Lock does nothing on this system: that one process uses the file is up to
// its user.
func Lock(string) (release func() error, err error) { return func() error { return nil }, nil }
