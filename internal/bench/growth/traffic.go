package main

import (
	"fmt"

	"github.com/AmpyFin/ampy-bus/internal/bench"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

const (
	barsTopic   = "ampy.dev.bars.v1.XNAS.AAPL"
	barsPattern = "ampy.dev.bars.>"
	// small is a payload where the number of messages matters, usual where their
	// bytes do.
	small = 128
	usual = 1024
	// quickKeys are as many as no key waits for its round trip.
	quickKeys = 4096
)

// bars is a load of bars on one topic.
func bars(count, keys, size int) bench.Load {
	return bench.Load{
		Topic: barsTopic, Schema: "ampy.bars.v1.BarBatch", Producer: "growth", Source: "growth", Key: "XNAS.AAPL",
		Keys: keys, Count: count, PayloadBytes: size,
	}
}

// spread sends a load to several topics in turn, each its own key, and every so
// often to a rare one.
type spread struct {
	to     bench.Publisher
	topics []string
	rare   string
	every  int
	n      int
}

// Publish implements bench.Publisher. It is called from one goroutine.
func (s *spread) Publish(e ampybus.Envelope, done func(error)) {
	e.Topic = s.topics[s.n%len(s.topics)]
	if s.every > 0 && s.n%s.every == 0 {
		e.Topic = s.rare
	}
	s.n++
	t, _ := ampybus.ParseTopic(e.Topic)
	e.Headers.PartitionKey = t.Subtopic
	s.to.Publish(e, done)
}

// symbols are so many topics of bars.
func symbols(n int) []string {
	topics := make([]string, n)
	for i := range topics {
		topics[i] = fmt.Sprintf("ampy.dev.bars.v1.XNAS.S%d", i)
	}
	return topics
}

// each of the buses is closed; an error says which kind of work failed.
func closeAll(buses ...*ampybus.Bus) {
	for _, b := range buses {
		_ = b.Close()
	}
}
