package bench

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// batchFunc is a Client that only publishes batches.
type batchFunc struct {
	Client
	publish func(es []ampybus.Envelope) error
}

func (f batchFunc) PublishBatch(_ context.Context, es []ampybus.Envelope) error { return f.publish(es) }

func TestTheLastBatchIsWhatIsLeft(t *testing.T) {
	var sizes []int
	c := batchFunc{publish: func(es []ampybus.Envelope) error { sizes = append(sizes, len(es)); return nil }}
	r, err := RunBatches(t.Context(), "x", c, load(25), 10, 1)
	if err != nil || fmt.Sprint(sizes) != "[10 10 5]" || r.Published != 25 || r.Bytes != 25*100 || r.latency.TotalCount() != 25 {
		t.Errorf("batches of %v: %+v, %v", sizes, r.Doc(), err)
	}
}

func TestEachMessageOfABatchHasItsOutcome(t *testing.T) {
	lost, unsure := errors.New("lost"), ampybus.ErrUncertain
	one := func(err error) error { return &ampybus.PublishError{Topic: "t", Err: err} }
	for name, c := range map[string]struct {
		err                          error
		published, failed, uncertain int
	}{
		"all are stored":              {nil, 10, 0, 0},
		"one is not":                  {errors.Join(one(lost)), 9, 1, 0},
		"two are not, one may be":     {errors.Join(one(lost), one(unsure), one(lost)), 7, 2, 1},
		"the batch is refused":        {errors.Join(fmt.Errorf("message 3: %w", ampybus.ErrConfig)), 0, 10, 0},
		"the caller does not wait":    {errors.Join(fmt.Errorf("publish batch: %w: %w", unsure, context.Canceled)), 0, 0, 10},
		"it gave up after one failed": {errors.Join(one(lost), fmt.Errorf("publish batch: %w: %w", unsure, context.Canceled)), 0, 1, 9},
	} {
		client := batchFunc{publish: func([]ampybus.Envelope) error { return c.err }}
		r, err := RunBatches(t.Context(), "x", client, load(10), 10, 1)
		if err != nil || r.Published != c.published || r.Failed != c.failed || r.Uncertain != c.uncertain {
			t.Errorf("%s: %+v, %v", name, r.Doc(), err)
		}
	}
}

func TestABatchIsDueWithItsFirstMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Duration
		began := time.Now()
		c := batchFunc{publish: func([]ampybus.Envelope) error { at = append(at, time.Since(began)); return nil }}
		l := load(30)
		l.Rate = 10
		if _, err := RunBatches(t.Context(), "x", c, l, 10, 1); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(at); got != "[0s 1s 2s]" {
			t.Errorf("batches at %s", got)
		}
	})
}
