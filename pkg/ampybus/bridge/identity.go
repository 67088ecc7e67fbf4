package bridge

import (
	"context"
	"fmt"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// ends are the identities of both brokers.
type ends struct{ from, to string }

// identify asks both brokers who they are, and refuses one that is both.
func identify(ctx context.Context, from, to driver.Transport, fromName, toName string) (e ends, err error) {
	if e.from, err = nameOf(ctx, from, fromName); err != nil {
		return e, fmt.Errorf("identify the source: %w", err)
	}
	if e.to, err = nameOf(ctx, to, toName); err != nil {
		return e, fmt.Errorf("identify the target: %w", err)
	}
	if e.from == e.to {
		return e, fmt.Errorf("%w: both sides are the same broker, %s", driver.ErrConfig, e.from)
	}
	return e, nil
}

func nameOf(ctx context.Context, t driver.Transport, given string) (string, error) {
	if given == "" {
		known, ok := t.(driver.Identified)
		if !ok {
			return "", fmt.Errorf("%w: the %s transport does not tell which broker it reaches: give it a name", driver.ErrConfig, t.Name())
		}
		var err error
		if given, err = known.Identity(ctx); err != nil {
			return "", err
		}
	}
	return given, legalName(given)
}
