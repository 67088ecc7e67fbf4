package prefetch

import "unsafe"

// lines asks for the cache lines of n bytes from p on.
//
//go:noescape
func lines(p unsafe.Pointer, n uintptr)
