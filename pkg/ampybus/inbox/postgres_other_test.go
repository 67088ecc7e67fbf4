//go:build !linux

package inbox_test

// start starts none: name a server in AMPY_TEST_POSTGRES.
func (*privateServer) start() (string, error) { return "", errNoServer }

func (*privateServer) stop() {}
