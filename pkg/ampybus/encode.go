package ampybus

import "github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"

// EncodeHeaders writes h for the wire.
func EncodeHeaders(h Headers) []driver.Header { return nil }
