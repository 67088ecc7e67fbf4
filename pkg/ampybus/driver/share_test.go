package driver_test

import (
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

func TestSharesOfKeysNeverChange(t *testing.T) {
	for key, want := range map[string][2]int{ // of 4 and of 7; FNV-1a of "a" is 0xe40c292c
		"": {1, 2}, "a": {0, 5}, "AAPL.XNAS": {1, 2},
	} {
		if got := [2]int{driver.ShareOf(key, 4), driver.ShareOf(key, 7)}; got != want {
			t.Errorf("shares of %q: %v, want %v", key, got, want)
		}
	}
	if driver.ShareOf("a", 0) != 0 || driver.ShareOf("a", 1) != 0 {
		t.Error("a log that is not divided has one share")
	}
}

func TestEveryKeyIsHeldByOneLane(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		log := rapid.SampledFrom([]string{"AMPY_DEV_ORDERS", "ampy.dev.orders", "topic:3", "a/b", "log/2of"}).Draw(t, "log")
		shares := rapid.IntRange(0, driver.MaxShares).Draw(t, "shares")
		key := rapid.String().Draw(t, "key")
		held := 0
		for k := range max(1, shares) {
			lane := driver.LaneOf(log, k, shares)
			of, share, n := driver.CutLane(lane)
			if of != log || share != k || n != max(1, shares) {
				t.Fatalf("CutLane(%q) = %q, %d, %d", lane, of, share, n)
			}
			if driver.LaneHolds(lane, log, key) {
				held++
			}
			if driver.LaneHolds(lane, log+"x", key) {
				t.Fatalf("lane %q holds keys of another log", lane)
			}
		}
		if held != 1 {
			t.Fatalf("key %q is held by %d lanes of %s", key, held, log)
		}
	})
}

func TestImpossibleSharesAreRefused(t *testing.T) {
	keyOf := func(*driver.Delivery) string { return "" }
	for _, c := range []driver.GroupConfig{
		{},
		{Group: "g", Shares: -1},
		{Group: "g", Shares: 2},
		{Group: "g", Shares: driver.MaxShares + 1, KeyOf: keyOf},
	} {
		if err := c.Check(); !errors.Is(err, driver.ErrConfig) {
			t.Errorf("%s: %v, want %v", fmt.Sprint(c.Group, c.Shares), err, driver.ErrConfig)
		}
	}
	c := driver.GroupConfig{Group: "g", Shares: 4, KeyOf: keyOf}
	if err := c.Check(); err != nil {
		t.Error(err)
	}
}
