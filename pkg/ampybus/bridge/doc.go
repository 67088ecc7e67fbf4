// Package bridge carries records from one broker to another, so that a move
// between brokers needs no change in any service, and compares both sides.
//
// A record keeps its bytes, its headers in their order, its topic and its key,
// and the records of one key keep their order. It gets three headers of the
// bridge's own, which the contract lists: where it was taken from, when it was
// stored there first, and its key where nothing else says it. The target's
// broker stamps its own time of storing.
//
// A Bridge is a member of a durable group on the source: it commits only what
// the target has acknowledged, so it may be killed anywhere. What it carries
// again is stored once within the target's dedupe window; beyond that it is a
// second record of the same message_id, which an inbox absorbs. It decodes no
// envelope: what breaks the contract is carried as it is. What the target
// refuses is reported, and stops the bridge or is passed over, as configured.
//
//	b, err := bridge.New(bridge.Config{From: nats, To: kafka, Pattern: "ampy.prod.>", Group: "to-kafka"})
//	err = b.Run(ctx)
package bridge
