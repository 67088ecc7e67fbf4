package ampybus_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/membinding"
)

// unreadable is a transport on which no log can be read.
type unreadable struct{ *membinding.Transport }

func (u unreadable) Read(ctx context.Context, c driver.ReadConfig) (driver.Reader, error) {
	r, err := u.Transport.Read(ctx, c)
	if err != nil {
		return nil, err
	}
	return nil, errors.Join(driver.ErrUnreachable, r.Close())
}

// A lane waits for its parked keys while they cannot be read, but not for a
// transport that is gone: its Consume would hold the lane for ever.
func TestALaneThatWaitsForItsParkedKeysEndsWithItsTransport(t *testing.T) {
	for _, end := range []struct {
		name string
		of   func(*ampybus.Bus, *membinding.Transport) error
	}{
		{"close", func(b *ampybus.Bus, _ *membinding.Transport) error { return b.Close() }},
		{"crash", func(_ *ampybus.Bus, t *membinding.Transport) error { t.Crash(); return nil }},
	} {
		t.Run(end.name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.publish(ordersTopic, "a", "1")
				tr := w.broker.Transport()
				bus := ampybus.New(unreadable{tr}, ampybus.Options{Observer: w.seen})
				ended := make(chan error, 1)
				go func() {
					ended <- bus.Consume(context.Background(), orders("g"), func(context.Context, *ampybus.Message) error { return nil })
				}()
				settle(time.Minute)
				if w.seen.noticed(ampybus.NoticeTrouble) == 0 || w.seen.noticed(ampybus.NoticeAssigned) != 0 {
					t.Fatal("the lane does not wait for its parked keys")
				}
				if err := end.of(bus, tr); err != nil {
					t.Fatal(err)
				}
				settle(time.Minute)
				select {
				case err := <-ended:
					if !errors.Is(err, ampybus.ErrClosed) {
						t.Errorf("Consume ended with %v, want %v", err, ampybus.ErrClosed)
					}
				default:
					t.Error("Consume goes on")
				}
			})
		})
	}
}
