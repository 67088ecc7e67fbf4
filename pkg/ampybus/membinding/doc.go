// Package membinding is a broker in memory, and the transport to it: for tests,
// for examples, and as the model of what a broker does.
//
// Clients of one Broker share its records as processes share a real broker:
//
//	broker := membinding.New(membinding.Config{})
//	bus := broker.Connect(ampybus.Options{})
//	defer bus.Close()
//
// It keeps every promise of package drivertest (leases, takeover, dedupe,
// windows, gaps), and has the faults that a broker has: Broker.Outage, Refuse
// and Truncate, Transport.Cut, LoseAcks and Crash. It runs inside
// testing/synctest, where its leases and timeouts cost no time.
//
// It is no store: what it holds ends with the process. Its one simplification
// is that a connected client renews its leases without effort: a lease runs
// from the moment when a client crashes or is cut off.
package membinding
