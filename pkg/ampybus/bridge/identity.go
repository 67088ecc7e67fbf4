package bridge

import (
	"context"
	"fmt"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// ends are the identities of both brokers.
type ends struct{ from, to string }

// identify asks both brokers who they are, and refuses one that is both. Only
// with create is a broker changed that has no identity yet: it has an empty one
// otherwise, which no record names.
func identify(ctx context.Context, from, to driver.Transport, given ends, create bool) (e ends, err error) {
	if e.from, err = nameOf(ctx, from, given.from, create); err != nil {
		return e, fmt.Errorf("identify the source: %w", err)
	}
	if e.to, err = nameOf(ctx, to, given.to, create); err != nil {
		return e, fmt.Errorf("identify the target: %w", err)
	}
	if e.from == e.to && e.to != "" {
		return e, fmt.Errorf("%w: both sides are the same broker, %s", driver.ErrConfig, e.from)
	}
	return e, nil
}

func nameOf(ctx context.Context, t driver.Transport, given string, create bool) (string, error) {
	if given != "" {
		return given, legalName(given)
	}
	known, ok := t.(driver.Identified)
	if !ok {
		return "", fmt.Errorf("%w: the %s transport does not tell which broker it reaches: give it a name", driver.ErrConfig, t.Name())
	}
	return known.Identity(ctx, create)
}
