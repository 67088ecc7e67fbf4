package service

import (
	"math"
	"testing"
	"time"

	commonv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/common/v1"
	"pgregory.net/rapid"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

func TestIDIsAUUIDv7ThatFollowsFromTimeAndKey(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := time.UnixMilli(rapid.Int64Range(0, 1<<48-1).Draw(t, "at"))
		key := rapid.String().Draw(t, "key")
		text := ID(at, key)
		id, err := ampybus.ParseID(text)
		if err != nil || id.Version() != 7 {
			t.Fatalf("ID = %q: version %d, %v", text, id.Version(), err)
		}
		var ms int64
		for _, b := range id[:6] {
			ms = ms<<8 | int64(b)
		}
		if ms != at.UnixMilli() {
			t.Errorf("the id's time is %d, want %d", ms, at.UnixMilli())
		}
		if ID(at, key) != text {
			t.Error("the same key has two ids")
		}
		if ID(at, key+"x") == text {
			t.Error("two keys have one id")
		}
	})
}

func TestDecimalsAreReadExactlyOrNotAtAll(t *testing.T) {
	for _, c := range []struct {
		scaled int64
		scale  int32
		want   int64
		fails  bool
	}{
		{2207540039, 6, 2207540039, false},
		{220754, 2, 2207540000, false},
		{22075400390, 7, 2207540039, false},
		{22075400391, 7, 0, true},
		{-5, 0, -5_000_000, false},
		{0, 18, 0, false},
		{math.MaxInt64, 0, 0, true},
		{math.MinInt64, 5, 0, true},
	} {
		got, err := Micros(&commonv1.Decimal{Scaled: c.scaled, Scale: c.scale})
		if got != c.want || (err != nil) != c.fails {
			t.Errorf("Micros(%d e-%d) = %d, %v; want %d, error %v", c.scaled, c.scale, got, err, c.want, c.fails)
		}
	}
}

func TestUnknownBrokersAreRefused(t *testing.T) {
	for _, url := range []string{"", "localhost:4222", "http://localhost", "nats\x00://", "kafka:9092"} {
		if _, err := Dial(url); err == nil {
			t.Errorf("Dial(%q) accepts it", url)
		}
	}
}
