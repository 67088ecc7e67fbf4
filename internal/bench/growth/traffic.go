package main

import (
	"fmt"
	"strings"

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

// on is the load on another topic of bars.
func on(topic string, l bench.Load) bench.Load {
	t, _ := ampybus.ParseTopic(topic)
	l.Topic, l.Key = topic, t.Subtopic
	return l
}

// spread sends a load to several topics in turn, and every so often to a rare
// one.
type spread struct {
	to     bench.Publisher
	topics []string
	keys   bool // as many on each topic as the load has; else each topic is one
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
	_, n, many := strings.Cut(e.Headers.PartitionKey, "|")
	e.Headers.PartitionKey = t.Subtopic
	if s.keys && many {
		e.Headers.PartitionKey += "|" + n
	}
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

// closeAll closes what was only measured.
func closeAll(buses ...*ampybus.Bus) {
	for _, b := range buses {
		_ = b.Close()
	}
}
