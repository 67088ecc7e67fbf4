package bridge

import (
	"slices"
	"strings"
	"testing"

	"github.com/AmpyFin/ampy-bus/internal/brokertest"
	"github.com/AmpyFin/ampy-bus/internal/kafkaserver"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/kafkabinding"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/natsbinding"
)

// dial makes a client of its own for each call.
type dial func() driver.Transport

func natsServer(t *testing.T) dial {
	s := brokertest.Start(t)
	return func() driver.Transport {
		tr, err := natsbinding.Dial(natsbinding.Config{URL: s.URL()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = tr.Close(t.Context()) })
		return tr
	}
}

func kafkaServer(t *testing.T) dial {
	s, err := kafkaserver.Start(kafkaserver.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return dialKafka(t, s.URL())
}

func dialKafka(t *testing.T, url string) dial {
	return func() driver.Transport {
		tr, err := kafkabinding.Dial(kafkabinding.Config{Brokers: []string{url}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = tr.Close(t.Context()) })
		return tr
	}
}

func onceBetween(t *testing.T, from, to dial, group string) Stats {
	t.Helper()
	b, err := New(Config{From: from(), To: to(), Pattern: everything, Group: group, Once: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b.Stats()
}

// sorted puts headers into the order of their names: NATS keeps that of a
// repeated name only.
func sorted(ds []driver.Delivery) []driver.Delivery {
	for i := range ds {
		slices.SortStableFunc(ds[i].Headers, func(a, b driver.Header) int { return strings.Compare(a.Name, b.Name) })
		ds[i].Key = headerOf(ds[i].Record, ampybus.HeaderPartitionKey) // NATS keeps no key
	}
	return ds
}

func odd() []driver.Record {
	return append(orders("abcdef", 30),
		driver.Record{Topic: "ampy.dev.bars.v1.XNAS.AAPL", Value: []byte("no headers\x00at all")},
		driver.Record{Topic: "ampy.dev.bars.v1.XNAS.BRK.B", Headers: []driver.Header{{Name: "Odd-Name", Value: "an ü"}}},
		driver.Record{Topic: "ampy.dev.dlq.v1.orders", Key: "a", Headers: order("a", 1).Headers, Value: []byte{1}},
	)
}

func TestWhatGoesThroughKafkaAndBackIsTheSame(t *testing.T) {
	first, kafka, last := natsServer(t), kafkaServer(t), natsServer(t)
	publish(t, first(), odd()...)
	if s := onceBetween(t, first, kafka, "bridge"); s.Forwarded != 183 || !s.Whole() {
		t.Errorf("to kafka: %+v", s)
	}
	if s := onceBetween(t, kafka, last, "bridge"); s.Forwarded != 183 || !s.Whole() {
		t.Errorf("to nats: %+v", s)
	}
	want, got := sorted(held(t, first(), everything)), sorted(held(t, last(), everything))
	sameRecords(t, want, got)
	if s := onceBetween(t, kafka, first, "back"); s.Returned != 183 || s.Forwarded != 0 {
		t.Errorf("back to where it came from: %+v", s)
	}
}

func TestKafkaToKafkaKeepsKeysAndTheOrderOfHeaders(t *testing.T) {
	a, b := kafkaServer(t), kafkaServer(t)
	strange := order("a", 0)
	strange.Key = "another key than the header's"
	publish(t, a(), append(orders("abc", 10), strange)...)
	if s := onceBetween(t, a, b, "bridge"); s.Forwarded != 31 {
		t.Errorf("%+v", s)
	}
	sameRecords(t, held(t, a(), everything), held(t, b(), everything))
}

// A header that is a command to NATS, or that it would change, is refused.
func TestNATSIsSentNoCommands(t *testing.T) {
	kafka, nats := kafkaServer(t), natsServer(t)
	bad := order("a", 1)
	bad.Headers = append(bad.Headers, driver.Header{Name: "Nats-Rollup", Value: "all"})
	blank := order("b", 1)
	blank.Headers = append(blank.Headers, driver.Header{Name: "x-blank", Value: " x"})
	publish(t, kafka(), order("a", 0), bad, blank, order("b", 2))
	var seen refusals
	b, err := New(Config{From: kafka(), To: nats(), Pattern: everything, Group: "bridge", Once: true, PassRefused: true, OnRefused: seen.add})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Run(t.Context()); err != nil || b.Stats().Refused != 2 || b.Stats().Forwarded != 2 || len(seen.all) != 2 {
		t.Errorf("%v, %+v, %v", err, b.Stats(), seen.all)
	}
}

func TestIdentitiesAreOfTheBrokerAndNotOfTheAddress(t *testing.T) {
	for name, d := range map[string]dial{"nats": natsServer(t), "kafka": kafkaServer(t)} {
		one, err := d().(driver.Identified).Identity(t.Context(), true)
		two, err2 := d().(driver.Identified).Identity(t.Context(), false)
		if err != nil || err2 != nil || one != two || legalName(one) != nil {
			t.Errorf("%s: %q and %q (%v, %v)", name, one, two, err, err2)
		}
	}
	first, second := natsServer(t)(), natsServer(t)()
	if e, err := identify(t.Context(), first, second, ends{}, false); err != nil || e != (ends{}) {
		t.Errorf("looking gave identities: %+v, %v", e, err)
	}
	e, err := identify(t.Context(), first, second, ends{}, true)
	if err != nil || legalName(e.from) != nil || legalName(e.to) != nil {
		t.Errorf("%+v, %v", e, err)
	}
	if again, err := identify(t.Context(), first, second, ends{}, false); err != nil || again != e {
		t.Errorf("%+v became %+v, %v", e, again, err)
	}
}

// The same on Apache Kafka: AMPY_TEST_KAFKA, as docs/testing.md says.
func TestWhatGoesThroughRealKafkaAndBackIsTheSame(t *testing.T) {
	kafka := dialKafka(t, "kafka://"+strings.Join(brokertest.StartKafka(t, 1).Addrs(), ","))
	first, last := natsServer(t), natsServer(t)
	publish(t, first(), odd()...)
	onceBetween(t, first, kafka, "bridge")
	onceBetween(t, kafka, last, "bridge")
	sameRecords(t, sorted(held(t, first(), everything)), sorted(held(t, last(), everything)))
}
