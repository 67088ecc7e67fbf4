// Package bench measures how fast messages are published and consumed, through
// the bus and through the client library alone, for the commands bench-pub,
// benchnats and benchkafka. It decides nothing: it reports.
//
//	r, err := bench.Run(ctx, "bus", bench.Bus{Bus: bus}, bench.Load{Topic: topic, Count: 10_000, ...})
//	fmt.Println(r.Summary()) // Published 10000 messages in 2.3s (4347.8 msg/s)
package bench
