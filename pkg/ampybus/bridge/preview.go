package bridge

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// Preview counts what Run would carry, up to what is stored now, and changes
// nothing on either broker. What a header would make the target refuse only the
// target knows. It closes both transports.
func (b *Bridge) Preview(ctx context.Context) (s Stats, err error) {
	defer func() { err = errors.Join(err, b.c.From.Close(ctx), b.c.To.Close(ctx)) }()
	if err := b.identify(ctx, false); err != nil {
		return s, err
	}
	lanes, err := b.c.From.Lanes(ctx, b.c.Group, b.c.Pattern)
	if err != nil {
		return s, fmt.Errorf("ask for the position of group %s: %w", b.c.Group, err)
	}
	from := make(map[string]uint64, len(lanes))
	for _, l := range lanes {
		from[l.Log] = l.Committed
	}
	r, err := b.c.From.Read(ctx, driver.ReadConfig{Pattern: b.c.Pattern, Start: b.c.Start, From: from})
	if err != nil {
		return s, err
	}
	defer func() { _ = r.Close() }()
	for {
		ds, err := r.Next(ctx)
		var gap *driver.GapError
		switch {
		case errors.Is(err, io.EOF):
			return s, nil
		case errors.As(err, &gap):
			s.Gaps++
			s.Lost += gap.To - gap.From
		case err != nil:
			return s, err
		}
		for i := range ds {
			if b.preview(&s, &ds[i]); b.c.Max > 0 && s.Forwarded >= uint64(b.c.Max) {
				return s, nil
			}
		}
	}
}

func (b *Bridge) preview(s *Stats, d *driver.Delivery) {
	m := marksOf(d)
	v, why := b.judge(d, &m)
	if most := b.c.To.Limits().MaxRecordBytes; v == send && most > 0 && len(d.Value) > most {
		v, why = refused, driver.ErrTooLarge
	}
	switch v {
	case excluded:
		s.Excluded++
	case returned:
		s.Returned++
	case refused:
		s.Refused++
		if b.c.OnRefused != nil {
			b.c.OnRefused(Refusal{Topic: d.Topic, Origin: d.Origin(), MessageID: messageID(d), Err: why})
		}
	case send:
		s.Forwarded++
		s.Bytes += uint64(len(d.Value))
	}
}
