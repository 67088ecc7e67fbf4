// Package ampybus is the messaging layer of a trading system: the contract of
// what a message is, and a bus that keeps its promises on any broker.
//
// The contract is pure values, without broker, clock or goroutine: Topic and
// Pattern, Headers and their wire form, Envelope with Validate and Lint, one
// Policy per domain, key builders, compression and blob pointers.
//
// The Bus publishes, consumes, retries, dead-letters and reads history. Its
// bindings connect it: natsbinding, kafkabinding, and membinding for tests.
//
//	bus, err := natsbinding.Connect(natsbinding.Config{URL: "nats://127.0.0.1:4222"})
//	if err != nil {
//		return err
//	}
//	defer bus.Close()
//	h := ampybus.NewHeaders("ampy.bars.v1.BarBatch", "yfinance-go@ingest-1", "yfinance-go", ampybus.BarsKey("XNAS", "AAPL"))
//	err = bus.Publish(ctx, "ampy.prod.bars.v1.XNAS.AAPL", h, payload)
//
// The package does not decode payloads, which are ampy-proto messages: see
// protopayload. It does not apply effects once by itself: see inbox.
package ampybus
