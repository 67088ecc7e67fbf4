// Package protopayload knows the payload types of every domain: the messages of
// ampy-proto and those of ampy.control.v1. It decodes and checks payloads,
// writes the one byte form that Go, Python and C++ agree on, hashes schemas, and
// derives from a payload what its envelope needs: topic, keys and times.
//
// It is not part of the bus, to which payloads are opaque bytes. Nothing here is
// needed to publish, consume, redrive or replay; producers, sinks and tools use
// it.
//
//	bar := &barsv1.Bar{Security: &commonv1.SecurityId{Symbol: "AAPL", Mic: "XNAS"}}
//	e, err := protopayload.Envelope("ampy.dev.bars.v1.XNAS.AAPL", bar, "feed@1", "feed")
//	...
//	m, err := protopayload.Decode(e.Headers.SchemaFQDN, e.Payload)
package protopayload
