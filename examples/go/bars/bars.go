// Package bars is the market data producer of the example: it publishes real
// daily bars of two indices as bars.v1, one batch for each index and week.
package bars

import (
	"context"
	"fmt"
	"io/fs"
	"time"

	barsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/bars/v1"
	commonv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/common/v1"

	"github.com/AmpyFin/ampy-bus/examples/go/service"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/protopayload"
)

// Name is the service's name.
const Name = "bars"

// An Index is a file and the security that it is about.
type Index struct {
	File     string
	Security *commonv1.SecurityId
}

// Indices are those of the example. An index is listed nowhere: the S&P 500
// stands under XCBO, the market of its options.
func Indices() []Index {
	return []Index{
		{"nasdaq.csv.gz", &commonv1.SecurityId{Symbol: "^IXIC", Mic: "XNAS"}},
		{"sp500.csv.gz", &commonv1.SecurityId{Symbol: "^GSPC", Mic: "XCBO"}},
	}
}

// A Week is the batches of one trading week, one for each index.
type Week []*barsv1.BarBatch

// Weeks reads at most days bars of each index; 0: all.
func Weeks(fsys fs.FS, days int) ([]Week, error) {
	var weeks []Week
	for column, index := range Indices() {
		all, err := Load(fsys, index.File, index.Security, days)
		if err != nil {
			return nil, err
		}
		for row, batch := range byWeek(all) {
			if row == len(weeks) {
				weeks = append(weeks, make(Week, len(Indices())))
			}
			weeks[row][column] = batch
		}
	}
	return weeks, nil
}

func byWeek(days []*barsv1.Bar) []*barsv1.BarBatch {
	var all []*barsv1.BarBatch
	last := [2]int{}
	for _, day := range days {
		year, week := day.GetStart().AsTime().ISOWeek()
		if now := [2]int{year, week}; now != last {
			all, last = append(all, &barsv1.BarBatch{}), now
		}
		b := all[len(all)-1]
		b.Bars = append(b.Bars, day)
	}
	return all
}

// Feed publishes weeks of bars.
type Feed struct {
	Weeks []Week
	// Pace is the time from one week to the next. Zero: none.
	Pace time.Duration
	// Before is called with the week's envelopes before they are published, and
	// may change them. Nil: nothing is done.
	Before func(ctx context.Context, week int, es []ampybus.Envelope) error
}

// Run publishes all weeks and returns when the last one is stored, or when ctx
// ends.
func (f Feed) Run(ctx context.Context, bus *ampybus.Bus, c service.Config) error {
	tick := time.NewTicker(max(f.Pace, time.Nanosecond))
	defer tick.Stop()
	for i, week := range f.Weeks {
		es, err := Envelopes(week, c)
		if err != nil {
			return err
		}
		if f.Before != nil {
			if err := f.Before(ctx, i, es); err != nil {
				return err
			}
		}
		if err := bus.PublishBatch(ctx, es...); err != nil && ctx.Err() == nil {
			return fmt.Errorf("week %d: %w", i, err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

// Envelopes makes the envelopes of one week. The same week has the same
// message ids whenever it is published.
func Envelopes(week Week, c service.Config) ([]ampybus.Envelope, error) {
	es := make([]ampybus.Envelope, len(week))
	for i, batch := range week {
		topic, err := protopayload.TopicOf(c.Env, batch)
		if err != nil {
			return nil, err
		}
		es[i], err = service.Envelope(protopayload.Draft{
			Topic: topic.String(), Message: batch,
			Producer: c.Producer(Name), Source: "arch-data", RunID: c.RunID,
		}, nil)
		if err != nil {
			return nil, err
		}
		closed := batch.GetBars()[len(batch.GetBars())-1].GetEventTime().AsTime()
		es[i].Headers.MessageID = service.ID(closed, c.RunID+"|"+es[i].Topic)
	}
	return es, nil
}
