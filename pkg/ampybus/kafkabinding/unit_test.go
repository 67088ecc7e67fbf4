package kafkabinding

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"pgregory.net/rapid"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

func TestConfigurationsThatCannotWorkAreRefused(t *testing.T) {
	for name, c := range map[string]Config{
		"empty broker":          {Brokers: []string{""}},
		"no port":               {Brokers: []string{"host"}},
		"port out of range":     {Brokers: []string{"host:99999"}},
		"open bracket":          {Brokers: []string{"[::1"}},
		"many brokers":          {Brokers: slices.Repeat([]string{"host:9092"}, 200)},
		"other scheme":          {Brokers: []string{"nats://host:4222"}},
		"unknown option":        {Brokers: []string{"kafka://host:9092?layuot=full"}},
		"password without user": {Pass: "x"},
		"user without password": {User: "x"},
		"plain without TLS":     {User: "x", Pass: "y", Mechanism: "plain"},
		"unknown mechanism":     {User: "x", Pass: "y", Mechanism: "GSSAPI"},
		"unknown compression":   {Compression: "brotli"},
		"key without pair":      {TLS: TLS{KeyFile: "k.pem"}},
		"no such authority":     {TLS: TLS{CAFile: "nowhere.pem"}},
		"unknown layout":        {Layout: 7},
		"partitions":            {Partitions: -1},
	} {
		began := time.Now()
		_, err := Dial(c)
		if !errors.Is(err, driver.ErrConfig) {
			t.Errorf("%s: %v, want %v", name, err, driver.ErrConfig)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s: refused after %v", name, took)
		}
	}
}

func TestURLsSayWhatTheConfigurationHolds(t *testing.T) {
	c, err := Config{Brokers: []string{"kafka+tls://jo:s%40cret@a:9092,b:9093?layout=full&partitioner=fnv1a"}}.resolved()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(c.Brokers, []string{"a:9092", "b:9093"}) || c.User != "jo" || c.Pass != "s@cret" ||
		!c.TLS.Enable || c.Layout != LayoutFull || c.Partitioner != FNV1a || c.Mechanism != scram512 {
		t.Errorf("resolved to %v with layout %d", c, c.Layout)
	}
	secret := Config{Brokers: []string{"kafka://jo:hunter2@a:9092"}, User: "x", Pass: "hunter2"}
	for _, s := range []string{fmt.Sprint(secret), fmt.Sprintf("%#v", secret), fmt.Sprintf("%+v", secret)} {
		if strings.Contains(s, "hunter2") {
			t.Errorf("a configuration prints its secret: %s", s)
		}
	}
}

func TestNobodyThereIsSaidInTime(t *testing.T) {
	began := time.Now()
	_, err := Dial(Config{Brokers: []string{"127.0.0.1:1", "127.0.0.1:2"}})
	if !errors.Is(err, driver.ErrUnreachable) {
		t.Errorf("dialling nobody: %v, want %v", err, driver.ErrUnreachable)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

// The partition of a key must be that of ampy-bus 1.x, which uses kafka-go's
// Hash balancer: FNV-1a as a signed number, modulo the partitions, made
// positive. The first four values are those of kafka-go's own tests; the fourth
// has the high bit set, where an unsigned remainder would give another one.
func TestFNV1aLeadsToThePartitionOfOlderPeers(t *testing.T) {
	byTopic := Config{Partitioner: FNV1a}.partitioner().ForTopic("any")
	for _, c := range []struct {
		key        string
		partitions int
		want       int
	}{
		{"blah", 2, 0},
		{"blah", 3, 1},
		{"boop", 3, 2},
		{"20", 16, 1},
		{"XNAS.AAPL", 6, 5},
		{"XNAS.AAPL", 12, 11},
		{"XNAS.MSFT", 12, 11},
		{"USD.JPY", 6, 0},
		{"castle", 6, 3},
		{"ALPACA-LIVE-01|AAPL.XNAS", 12, 6},
		{"hyper@2025-09-05|NVDA.XNAS", 12, 9},
	} {
		if got := byTopic.Partition(&kgo.Record{Key: []byte(c.key)}, c.partitions); got != c.want {
			t.Errorf("key %q is led to partition %d of %d, want %d", c.key, got, c.partitions, c.want)
		}
	}
}

// Two bus topics never share a Kafka topic of the full layout, and are told
// apart within one of the domain layout: a_b is not a.b.
func TestTheMappingToKafkaTopicsIsInjective(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		token := rapid.StringMatching(`[a-b_.-]{1,3}`)
		draw := func(name string) string { return "ampy.dev.bars.v1." + token.Draw(t, name) }
		a, b := draw("a"), draw("b")
		nameA, errA := LayoutFull.kafkaTopic(a)
		nameB, errB := LayoutFull.kafkaTopic(b)
		if a != b && errA == nil && errB == nil && nameA == nameB {
			t.Fatalf("%s and %s are both in Kafka topic %s", a, b, nameA)
		}
	})
	for _, topic := range []string{"ampy.dev.bars.v1.a_b", "ampy.dev.bars.v1.a.b"} {
		rec := driver.Record{Topic: topic, Key: "k"}
		if d := (&unpacker{log: "log"}).decode(encode(&rec, "ampy.dev.bars.v1")); d.Topic != topic {
			t.Errorf("%s came back as %s", topic, d.Topic)
		}
	}
}

func encode(rec *driver.Record, kafkaTopic string) *kgo.Record {
	s := new(sending)
	s.encode(rec, kafkaTopic)
	return &s.rec
}

func tokens() *rapid.Generator[string] {
	return rapid.StringMatching(`[A-Za-z0-9_@|:+=^/#-]{1,8}`)
}

func records() *rapid.Generator[driver.Record] {
	return rapid.Custom(func(t *rapid.T) driver.Record {
		rec := driver.Record{
			Topic: "ampy.dev.orders.v1." + strings.Join(rapid.SliceOfN(tokens(), 1, 4).Draw(t, "subtopic"), "."),
			Key:   rapid.String().Draw(t, "key"),
			ID:    rapid.SampledFrom([]string{"", "id", "x.redrive.1"}).Draw(t, "id"),
			Value: rapid.SliceOf(rapid.Byte()).Draw(t, "value"),
		}
		for range rapid.IntRange(0, 5).Draw(t, "headers") {
			name := rapid.SampledFrom([]string{"topic", "message_id", "partition_key", "x", "X"}).Draw(t, "name")
			value := rapid.SampledFrom([]string{"", "id", rec.Topic, "ampy.dev.orders.v1.Z", "ampy.prod.fills.v1.E"}).Draw(t, "value")
			rec.Headers = append(rec.Headers, driver.Header{Name: name, Value: value})
		}
		return rec
	})
}

func TestRecordsSurviveTheWire(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u, s := unpacker{log: "log"}, new(sending) // what one record leaves behind must not show in the next
		for _, rec := range rapid.SliceOfN(records(), 1, 5).Draw(t, "records") {
			s.encode(&rec, "ampy.dev.orders.v1")
			s.rec.Timestamp = time.Now()
			d := u.decode(&s.rec)
			if d.Topic != rec.Topic || d.Key != rec.Key || !slices.Equal(d.Value, rec.Value) || !slices.Equal(d.Headers, rec.Headers) {
				t.Fatalf("%+v came back as %+v", rec, d.Record)
			}
			if rec.ID != "" && d.ID != rec.ID {
				t.Fatalf("id %q came back as %q", rec.ID, d.ID)
			}
		}
	})
}

func TestForgedTopicsAreNotBelieved(t *testing.T) {
	for _, header := range []string{headerTopic, ownTopic} {
		r := &kgo.Record{Topic: "ampy.dev.bars.v1", Headers: []kgo.RecordHeader{{Key: header, Value: []byte("ampy.prod.orders.v1.requests")}}}
		if d := (&unpacker{log: "log"}).decode(r); d.Topic != "ampy.dev.bars.v1" {
			t.Errorf("a record of bars that claims %s in %s is delivered as %s", r.Headers[0].Value, header, d.Topic)
		}
	}
}

func TestKafkaTopicsFollowThePattern(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.SampledFrom([]string{"ampy", "dev", "prod", "orders", "v1", "A", "B"})
		topic := strings.Join(rapid.SliceOfN(word, 5, 7).Draw(t, "topic"), ".")
		p, err := parsePattern(strings.Join(rapid.SliceOfN(rapid.OneOf(word, rapid.Just("*")), 1, 6).Draw(t, "pattern"), ".") +
			rapid.SampledFrom([]string{"", ".>"}).Draw(t, "rest"))
		if err != nil {
			t.Fatal(err)
		}
		re := regexp.MustCompile(p.regex())
		for _, layout := range []Layout{LayoutDomain, LayoutFull} {
			name, err := layout.kafkaTopic(topic)
			if err != nil {
				t.Fatal(err)
			}
			if p.matches(topic) && !p.covers(name) {
				t.Fatalf("%s matches %s, and its Kafka topic %s is not read", topic, p.text, name)
			}
			if p.covers(name) != re.MatchString(name) {
				t.Fatalf("%s and Kafka topic %s: covers is %v, %s disagrees", p.text, name, p.covers(name), p.regex())
			}
		}
	})
}

// Metadata that is corrupt or another tool's is a plain position.
func FuzzCommitMetadata(f *testing.F) {
	f.Add(claim{epoch: 7, owner: "o", member: "a b", open: true, crashes: 2, started: 9}.encode())
	f.Add("")
	f.Add("ampy1 e=0")
	f.Add("ampy1 e=1&c=-1")
	f.Add("ampy2 e=1")
	f.Add("{\"offset\":1}")
	f.Fuzz(func(t *testing.T, text string) {
		c, ok := decodeClaim(text)
		if !ok && c != (claim{}) {
			t.Errorf("metadata that is no claim gives %+v", c)
		}
		if again, ok2 := decodeClaim(c.encode()); ok && (!ok2 || again != c) && len(c.encode()) <= maxClaim {
			t.Errorf("%+v came back as %+v", c, again)
		}
	})
}
