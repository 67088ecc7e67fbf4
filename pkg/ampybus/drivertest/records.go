package drivertest

import (
	"bytes"
	"maps"
	"slices"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

func recordPromises() []Promise {
	return []Promise{
		{
			"BytesAndHeadersSurviveUnchanged",
			"Any payload, the empty one too, comes back byte for byte, and headers keep their names' case, their values, and the order of a repeated name; the transport adds none.",
			bytesAndHeadersSurviveUnchanged,
		},
		{
			"TopicSurvives",
			"A record comes back with the topic that it was published to, whatever legal characters its tokens hold.",
			topicSurvives,
		},
		{
			"StoredAtIsTheSameForAll",
			"The broker's time of storing is in UTC, never falls along a log, and is the same for every receiver.",
			storedAtIsTheSameForAll,
		},
		{
			"DeliveredRecordsAreTheReceiversOwn",
			"A receiver that changes what it received changes nothing for others.",
			deliveredRecordsAreTheReceiversOwn,
		},
	}
}

// awkward are records whose bytes a transport could mangle.
func awkward() []driver.Record {
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	recs := records(ordersA, "k", 0, 5)
	recs[0].Value = every
	recs[1].Value = nil
	recs[2].Value = []byte("\r\n\r\nHTTP/1.1 200\r\nMSG x 1 0\r\n")
	recs[3].Headers = nil
	recs[4].Headers = []driver.Header{
		{Name: "message_id", Value: "01890f2e-7b1c-7000-8000-000000000001"},
		{Name: "X-Seen", Value: "first"},
		{Name: "x-seen", Value: "lower case is another name"},
		{Name: "X-Seen", Value: "second"},
		{Name: "note", Value: `100%25 of a=b; c, d: "e" (f)  g`},
		{Name: "run_id", Value: ""},
		{Name: "UPPER_CASE", Value: "~!@#$^&*()_+{}|<>?`"},
		{Name: "x-seen", Value: "fourth"},
	}
	return recs
}

func bytesAndHeadersSurviveUnchanged(e *env) {
	tr := e.connect()
	live := e.reader(tr, driver.ReadConfig{Pattern: allOrders, New: true})
	recs := awkward()
	e.publish(tr, recs)
	m := e.join(tr, group("g", "m", allOrders))
	for how, got := range map[string][]driver.Delivery{
		"from history": e.history(tr, allOrders),
		"to a group":   deliveries(m.takes(len(recs))),
		"live":         e.reads(live, len(recs)),
	} {
		if len(got) != len(recs) {
			e.Fatalf("%s: %d records, want %d", how, len(got), len(recs))
		}
		for i, d := range got {
			e.same(how, recs[i], d.Record)
		}
	}
}

// same compares a record with what came back of it. Key and ID may be missing.
func (e *env) same(how string, want, got driver.Record) {
	e.Helper()
	if got.Topic != want.Topic {
		e.Errorf("%s: topic %q came back as %q", how, want.Topic, got.Topic)
	}
	if !bytes.Equal(got.Value, want.Value) {
		e.Errorf("%s: value %q came back as %q", how, want.Value, got.Value)
	}
	if w, g := byName(want.Headers), byName(got.Headers); !maps.EqualFunc(w, g, slices.Equal) {
		e.Errorf("%s: headers %q came back as %q", how, w, g)
	}
	if got.Key != "" && got.Key != want.Key || got.ID != "" && got.ID != want.ID {
		e.Errorf("%s: key %q and ID %q came back as %q and %q", how, want.Key, want.ID, got.Key, got.ID)
	}
}

// byName lists the values of each name in order. The order between names is
// not promised: NATS clients keep headers in a map.
func byName(hs []driver.Header) map[string][]string {
	names := make(map[string][]string)
	for _, h := range hs {
		names[h.Name] = append(names[h.Name], h.Value)
	}
	return names
}

func topicSurvives(e *env) {
	tr := e.connect()
	m := e.join(tr, group("g", "m", "ampy.>"))
	topics := []string{
		"ampy.prod.bars.v1.XNAS.AAPL",
		"ampy.prod.bars.v1.XNYS.BRK.B",
		"ampy.prod.bars.v1.XCBF.^GSPC",
		"ampy.prod.bars.v1.XCME.ES=F",
		"ampy.prod.signals.v1.hyper@2025-01-01",
		"ampy.paper.ticks.v12.a|b:c+d.e/f#g_h-i",
		"ampy.dev.dlq.v1.orders",
		"ampy.dev.control.v1.replay_requests",
	}
	for i, topic := range topics {
		e.publish(tr, records(topic, "k", i, 1))
	}
	want := slices.Sorted(slices.Values(topics))
	if got := sortedTopics(deliveries(m.takes(len(topics)))); !slices.Equal(got, want) {
		e.Errorf("a group got topics %q, want %q", got, want)
	}
	if got := sortedTopics(e.history(tr, "ampy.>")); !slices.Equal(got, want) {
		e.Errorf("history has topics %q, want %q", got, want)
	}
}

func sortedTopics(ds []driver.Delivery) []string {
	var topics []string
	for i := range ds {
		topics = append(topics, ds[i].Topic)
	}
	slices.Sort(topics)
	return topics
}

func storedAtIsTheSameForAll(e *env) {
	tr := e.connect()
	e.publish(tr, records(ordersA, "k", 0, 50))
	m := e.join(tr, group("g", "m", allOrders))
	held, taken := e.history(tr, allOrders), m.takes(50)
	for i, d := range held {
		switch {
		case d.StoredAt.IsZero() || d.StoredAt.Location() != time.UTC:
			e.Fatalf("record %d is stored at %v, want a time in UTC", i, d.StoredAt)
		case i > 0 && d.StoredAt.Before(held[i-1].StoredAt):
			e.Errorf("record %d is stored at %v, before its predecessor at %v", i, d.StoredAt, held[i-1].StoredAt)
		case !taken[i].StoredAt.Equal(d.StoredAt):
			e.Errorf("record %d is stored at %v for a reader, at %v for a group", i, d.StoredAt, taken[i].StoredAt)
		}
	}
}

func deliveredRecordsAreTheReceiversOwn(e *env) {
	tr := e.connect()
	recs := awkward()
	e.publish(tr, recs)
	first := e.join(tr, group("first", "m", allOrders))
	for _, ds := range [][]driver.Delivery{deliveries(first.takes(len(recs))), e.history(tr, allOrders)} {
		for _, d := range ds {
			clear(d.Value)
			clear(d.Headers)
		}
	}
	second := e.join(tr, group("second", "m", allOrders))
	for _, ds := range [][]driver.Delivery{deliveries(second.takes(len(recs))), e.history(tr, allOrders)} {
		for i, d := range ds {
			e.same("after another receiver changed its own", awkward()[i], d.Record)
		}
	}
}
