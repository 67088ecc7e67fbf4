// Package redrive sends dead letters back in three steps: a plan says which,
// applying it sends them and settles each, and a report says what became of
// every one.
//
// It keeps the order of each partition key: when a dead letter cannot be sent,
// the later ones of its key are held. It never removes a dead letter; package
// ampybus records a settlement instead. It is not for consuming dead letters:
// that is an ordinary consumer on a dlq topic.
//
//	plan, err := redrive.Make(ctx, bus, "ampy.prod.dlq.v1.bars", redrive.Filter{Reasons: []string{"decode*"}})
//	report, err := redrive.Apply(ctx, bus, plan, redrive.Options{Reason: "scale fixed", Requester: "ops@cli-1", Rate: 100})
package redrive
