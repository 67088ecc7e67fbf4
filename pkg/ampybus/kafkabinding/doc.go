// Package kafkabinding carries the bus over Apache Kafka. It maps bus topics to
// Kafka topics, publishes idempotently with acks=all, and reads in groups that
// commit only what is finished. It knows nothing of envelopes beyond the name
// of the header that holds the bus topic.
//
//	bus, err := kafkabinding.Connect(kafkabinding.Config{Brokers: []string{"localhost:9092"}})
//	if err != nil { ... }
//	defer bus.Close()
package kafkabinding
