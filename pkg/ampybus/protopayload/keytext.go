package protopayload

import (
	"strconv"
	"strings"
	"time"

	commonv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/common/v1"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Texts inside keys. They are part of the contract: Go and Python must derive
// the same key from the same payload.

// stamp is t as RFC 3339 in UTC, up to nanoseconds without trailing zeros; empty
// when t is absent or invalid.
func stamp(t *timestamppb.Timestamp) string {
	at := moment(t)
	if at.IsZero() {
		return ""
	}
	return at.Format(time.RFC3339Nano)
}

// date is t's day in UTC, YYYY-MM-DD; empty when t is absent or invalid.
func date(t *timestamppb.Timestamp) string {
	at := moment(t)
	if at.IsZero() {
		return ""
	}
	return at.Format(time.DateOnly)
}

// number is d in decimal digits without trailing zeros behind the point, so that
// 0.24 and 0.2400 are one amount; empty when d is absent or its scale invalid.
func number(d *commonv1.Decimal) string {
	scale := int(d.GetScale())
	if d == nil || scale < 0 || scale > MaxScale {
		return ""
	}
	digits, negative := strings.CutPrefix(strconv.FormatInt(d.GetScaled(), 10), "-")
	if pad := scale + 1 - len(digits); pad > 0 {
		digits = strings.Repeat("0", pad) + digits
	}
	point := len(digits) - scale
	text := digits[:point]
	if fraction := strings.TrimRight(digits[point:], "0"); fraction != "" {
		text += "." + fraction
	}
	if negative {
		text = "-" + text
	}
	return text
}

// natural joins the parts of a dedupe key. Without one of them there is no
// natural key: half a key would call different records the same.
func natural(parts ...string) string {
	for _, p := range parts {
		if p == "" {
			return ""
		}
	}
	return strings.Join(parts, "|")
}
