package ampybus

import "github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"

// DecodeHeaders reads headers from the wire.
func DecodeHeaders(hs []driver.Header) (Headers, []string, error) { return Headers{}, nil, nil }
