package ampybus

import (
	"testing"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// Who keeps one message keeps what is allocated with it: not many large ones.
func TestOnlySmallMessagesAreAllocatedTogether(t *testing.T) {
	for name, c := range map[string]struct{ size, records, want int }{
		"small":    {100, 1000, slabItems},
		"few":      {100, 3, 3},
		"one":      {100, 1, 1},
		"16 KiB":   {16 << 10, 100, 4},
		"large":    {1 << 20, 100, 1},
		"the last": {1 << 20, 1, 1},
	} {
		rs := make([]driver.Delivery, c.records)
		for i := range rs {
			rs[i].Value = make([]byte, c.size)
		}
		if n := together(rs); n != c.want {
			t.Errorf("%s: %d together, want %d", name, n, c.want)
		}
	}
}
