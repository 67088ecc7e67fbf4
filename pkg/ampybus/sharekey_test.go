package ampybus

import (
	"strings"
	"testing"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
	"pgregory.net/rapid"
)

// Were a log divided by anything but what orders, a key could be in two shares.
func TestSharesAreDividedByWhatOrders(t *testing.T) {
	names := rapid.SampledFrom([]string{HeaderPartitionKey, "Partition_Key", HeaderDedupeKey, HeaderMessageID, "other"})
	values := rapid.SampledFrom([]string{"", "a", "b", "a b", "\n", "é", strings.Repeat("k", 2000), strings.Repeat("v", 40_000)})
	header := rapid.Custom(func(t *rapid.T) driver.Header {
		return driver.Header{Name: names.Draw(t, "name"), Value: values.Draw(t, "value")}
	})
	rapid.Check(t, func(t *rapid.T) {
		d := driver.Delivery{Record: driver.Record{
			Key:     rapid.SampledFrom([]string{"", "record"}).Draw(t, "key"),
			Headers: rapid.SliceOfN(header, 0, 4).Draw(t, "headers"),
		}}
		if rapid.IntRange(0, 9).Draw(t, "many") == 0 {
			d.Headers = append(d.Headers, make([]driver.Header, maxReadHeaders)...)
		}
		var it item
		it.read(&d, &headerMemo{})
		if keyOf(&d) != it.key() {
			t.Fatalf("divided by %q, ordered by %q", keyOf(&d), it.key())
		}
	})
}
