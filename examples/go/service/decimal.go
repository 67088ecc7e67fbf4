package service

import (
	"fmt"
	"math"

	commonv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/common/v1"
)

// Prices and amounts are integers in millionths: the market data has six
// decimals, and money is never a float.
const (
	microScale = 6
	// Micro is one unit in millionths.
	Micro = 1_000_000
)

// Price is a price or amount of so many millionths.
func Price(micros int64) *commonv1.Decimal {
	return &commonv1.Decimal{Scaled: micros, Scale: microScale}
}

// Units is a whole number of shares.
func Units(n int64) *commonv1.Decimal { return &commonv1.Decimal{Scaled: n} }

// USD is an amount of money.
func USD(micros int64) *commonv1.Money {
	return &commonv1.Money{Amount: Price(micros), CurrencyCode: "USD"}
}

// Micros reads a price or amount exactly, or fails.
func Micros(d *commonv1.Decimal) (int64, error) { return rescale(d, microScale) }

// Count reads a whole number of shares exactly, or fails.
func Count(d *commonv1.Decimal) (int64, error) { return rescale(d, 0) }

func rescale(d *commonv1.Decimal, scale int32) (int64, error) {
	v := d.GetScaled()
	for s := d.GetScale(); s > scale; s-- {
		if v%10 != 0 {
			return 0, fmt.Errorf("decimal %d e-%d: more than %d decimals", d.GetScaled(), d.GetScale(), scale)
		}
		v /= 10
	}
	for s := d.GetScale(); s < scale; s++ {
		if v > math.MaxInt64/10 || v < math.MinInt64/10 {
			return 0, fmt.Errorf("decimal %d e-%d: too large", d.GetScaled(), d.GetScale())
		}
		v *= 10
	}
	return v, nil
}
