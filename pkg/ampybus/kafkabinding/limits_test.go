package kafkabinding

import (
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/AmpyFin/ampy-bus/internal/kafkaserver"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/blobstore"
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

// What a topic does not take goes the way of what its broker does not take: to
// the blob store, by every way of publishing, and not at all without one.
func TestWhatItsTopicDoesNotTakeGoesToTheBlobStore(t *testing.T) {
	const takes = 50_000
	b := startBroker(t, Config{})
	topicThatTakes(t, b.plain(t), "ampy.dev.bars.v1", takes)
	store := new(blobstore.Memory)
	for name, publish := range map[string]func(*ampybus.Bus, ampybus.Envelope) error{
		"Publish": func(bus *ampybus.Bus, e ampybus.Envelope) error {
			return bus.Publish(t.Context(), e.Topic, e.Headers, e.Payload)
		},
		"PublishBatch": func(bus *ampybus.Bus, e ampybus.Envelope) error { return bus.PublishBatch(t.Context(), e) },
		"PublishAsync": func(bus *ampybus.Bus, e ampybus.Envelope) error {
			// It does not wait for what a topic takes: an earlier publish has.
			if err := bus.PublishBatch(t.Context(), benchEnvelope(0, []byte("small"))); err != nil {
				return err
			}
			done := make(chan error, 1)
			bus.PublishAsync(e, func(err error) { done <- err })
			return <-done
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, blobs := range []ampybus.BlobStore{nil, store} {
				bus := ampybus.New(b.plain(t), ampybus.Options{Blobs: blobs})
				for _, c := range []struct {
					bytes int
					blob  bool
				}{{takes - 5000, false}, {takes, true}} {
					before := store.Len()
					err := publish(bus, benchEnvelope(0, noise(c.bytes)))
					var fault *ampybus.FieldError
					if none := blobs == nil && c.blob; none && !errors.As(err, &fault) || !none && err != nil {
						t.Errorf("%d bytes, blob store %v: %v", c.bytes, blobs != nil, err)
					}
					if put := store.Len() > before; put != (c.blob && blobs != nil) {
						t.Errorf("%d bytes, blob store %v: put there %v", c.bytes, blobs != nil, put)
					}
				}
			}
		})
	}
}

// noise is a payload of its own, that no compression makes smaller.
func noise(n int) []byte {
	p := make([]byte, n)
	_, _ = rand.Read(p)
	return p
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
