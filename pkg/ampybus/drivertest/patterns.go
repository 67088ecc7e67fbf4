package drivertest

import (
	"fmt"
	"slices"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

func patternPromises() []Promise {
	return []Promise{
		{
			"WildcardsMatch",
			"In a pattern \"*\" stands for one token and a final \">\" for one or more, for groups and readers alike.",
			wildcardsMatch,
		},
		{
			"PatternsCoverTopicsCreatedLater",
			"An open group gets the records of topics, and of logs, that appear after it was opened, from their first record on.",
			patternsCoverTopicsCreatedLater,
		},
		{
			"SparseMatchesDoNotStall",
			"Records that a pattern does not match take no room in MaxSpan.",
			sparseMatchesDoNotStall,
		},
	}
}

// wildcards pairs patterns with the topics that they match.
func wildcards() (topics []string, patterns map[string][]int) {
	topics = []string{
		0: "ampy.dev.bars.v1.XNAS.AAPL",
		1: "ampy.dev.bars.v1.XNAS.MSFT",
		2: "ampy.dev.bars.v1.XNYS.BRK.B",
		3: "ampy.dev.bars.v2.XNAS.AAPL",
		4: "ampy.dev.orders.v1.requests",
		5: "ampy.paper.bars.v1.XNAS.AAPL",
		6: "ampy.prod.fills.v1.events",
	}
	patterns = map[string][]int{
		"ampy.dev.bars.v1.XNAS.AAPL": {0},
		"ampy.dev.bars.v1.XNAS.*":    {0, 1},
		"ampy.dev.bars.v1.*.AAPL":    {0},
		"ampy.dev.bars.v1.>":         {0, 1, 2},
		"ampy.dev.bars.*.XNAS.AAPL":  {0, 3},
		"ampy.dev.bars.v1.XNYS.*":    {},
		"ampy.dev.bars.v1.XNYS.*.*":  {2},
		"ampy.*.bars.v1.XNAS.AAPL":   {0, 5},
		"ampy.*.*.v1.*":              {4, 6},
		"ampy.dev.>":                 {0, 1, 2, 3, 4},
		"ampy.>":                     {0, 1, 2, 3, 4, 5, 6},
	}
	return topics, patterns
}

func wildcardsMatch(e *env) {
	tr := e.connect()
	topics, patterns := wildcards()
	for i, topic := range topics {
		e.publish(tr, records(topic, "k", i, 1))
	}
	n := 0
	for pattern, matching := range patterns {
		want := make([]string, 0, len(matching))
		for _, i := range matching {
			want = append(want, topics[i])
		}
		if got := sortedTopics(e.history(tr, pattern)); !slices.Equal(got, want) {
			e.Errorf("history of %s has %q, want %q", pattern, got, want)
		}
		n++
		m := e.join(tr, group(fmt.Sprintf("g%d", n), "m", pattern))
		m.takes(len(want))
		if len(want) == 0 {
			m.never("got records that its pattern does not match", e.h.Quiet, func() bool { return len(m.got) > 0 })
		}
		if got := sortedTopics(deliveries(m.takes(len(want)))); !slices.Equal(got, want) {
			e.Errorf("a group on %s got %q, want %q", pattern, got, want)
		}
		m.close()
	}
}

func patternsCoverTopicsCreatedLater(e *env) {
	writer := e.connect()
	e.publish(writer, records(ordersA, "k", 0, 2))
	m := e.join(e.connect(), group("g", "m", allDev))
	m.takes(2)
	e.publish(writer, records(ordersB, "other-topic", 0, 2))
	m.takes(4)
	for i, topic := range []string{fillsA, "ampy.dev.bars.v1.XNAS.A"} {
		key := fmt.Sprintf("later%d", i)
		e.publish(writer, records(topic, key, 0, 5))
		got := m.takes(4 + 5*(i+1))
		if vs, want := ofKey(deliveries(got), key), names(key, 0, 5); !slices.Equal(vs, want) {
			e.Errorf("of the later log of %s the group got %v, want %v", topic, vs, want)
		}
	}
}

func sparseMatchesDoNotStall(e *env) {
	tr := e.connect()
	var recs []driver.Record
	for i := range 10 {
		recs = append(recs, records(ordersA, "other", i*20, 20)...)
		recs = append(recs, records(ordersB, "k", i, 1)...)
	}
	for i := range recs {
		recs[i].Key = "k" // one key, so that one log holds them all
	}
	e.publish(tr, recs)
	c := group("g", "m", ordersB)
	c.MaxSpan = 3
	m := e.join(tr, c)
	for n := 1; n <= 10; n++ {
		m.commits(m.takes(n)[n-1])
	}
	m.takesValues(names("k", 0, 10))
}
