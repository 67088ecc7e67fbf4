// Package natsbinding connects the bus to NATS JetStream, server 2.10 or
// later. Connect is all that most programs need:
//
//	bus, err := natsbinding.Connect(natsbinding.Config{URL: "nats://localhost:4222"})
//
// A stream per environment and domain holds the records, a group's position is
// kept with its lease in the key-value bucket "ampy_leases" and mirrored in a
// durable consumer of the group's name, and one member at a time owns each
// stream of a group. Positions are stream sequences.
//
// The package knows streams and subjects. It knows no header of the contract
// and no domain: those are in package ampybus, and in Layout.
package natsbinding
