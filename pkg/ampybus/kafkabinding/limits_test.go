package kafkabinding

import (
	"errors"
	"fmt"
	"strconv"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/AmpyFin/ampy-bus/internal/kafkaserver"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// A record may be as large as the broker, or its topic, is told to take: what
// fits is stored, and one byte more is refused without asking.
func TestRecordsMayBeAsLargeAsTheirTopicTakes(t *testing.T) {
	const broker = 300_000
	srv, err := kafkaserver.Start(kafkaserver.Config{Options: []kfake.Opt{
		kfake.BrokerConfigs(map[string]string{"message.max.bytes": strconv.Itoa(broker)}),
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	tr, err := Dial(Config{Brokers: srv.Addrs(), Logger: quiet(), Compression: "none"})
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close(t.Context())
	if got, want := tr.Limits().MaxRecordBytes, broker-framing; got != want {
		t.Errorf("the broker's limit is %d, want %d", got, want)
	}
	for domain, batch := range map[string]int{"orders": broker, "news": 50_000, "bars": 3_000_000} {
		if batch != broker {
			topicThatTakes(t, tr, "ampy.dev."+domain+".v1", batch)
		}
		rec := driver.Record{Topic: "ampy.dev." + domain + ".v1.A", Key: "k", Value: make([]byte, batch-framing-1)}
		if o := attempt(tr, []driver.Record{rec})[0]; o.Err != nil {
			t.Errorf("%s, where batches of %d bytes are taken: %v", domain, batch, o.Err)
		}
		rec.Value = append(rec.Value, 0)
		if o := attempt(tr, []driver.Record{rec})[0]; !errors.Is(o.Err, driver.ErrTooLarge) {
			t.Errorf("%s, one byte more: %v, want %v", domain, o.Err, driver.ErrTooLarge)
		}
	}
}

// Names and values of many headers count, and what frames them.
func TestManyHeadersFitIntoABatch(t *testing.T) {
	b := startBroker(t, Config{})
	c := b.config()
	c.Compression = "none"
	tr, err := Dial(c)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close(t.Context())
	rec := driver.Record{Topic: worldTopic, Key: "k"}
	for i := range 4000 {
		rec.Headers = append(rec.Headers, driver.Header{Name: fmt.Sprintf("h%d", i), Value: "v"})
	}
	rec.Value = make([]byte, tr.Limits().MaxRecordBytes-size(&rec))
	if o := attempt(tr, []driver.Record{rec})[0]; o.Err != nil {
		t.Errorf("a record of exactly the limit: %v", o.Err)
	}
}

func topicThatTakes(t *testing.T, tr *Transport, name string, batch int) {
	t.Helper()
	resp, err := tr.adm.CreateTopic(t.Context(), 1, 1, map[string]*string{"max.message.bytes": kadm.StringPtr(strconv.Itoa(batch))}, name)
	if err == nil {
		err = resp.Err
	}
	if err != nil {
		t.Fatal(err)
	}
}
