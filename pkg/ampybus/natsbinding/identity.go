package natsbinding

import (
	"context"
	"errors"
	"strconv"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

var _ driver.Identified = (*Transport)(nil)

// Identity implements driver.Identified. A server has no identity that outlives
// it, so that of the account is the moment at which its lease bucket was made.
func (t *Transport) Identity(ctx context.Context, create bool) (string, error) {
	if create {
		if _, err := t.leases(ctx); err != nil {
			return "", err
		}
	}
	info, err := t.streamInfo(ctx, "KV_"+leaseBucket)
	if errors.Is(err, driver.ErrNoLog) && !create {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return "nats-" + strconv.FormatInt(info.Created.UnixNano(), 36), nil
}
