package natsbinding_test

import (
	"errors"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/natsbinding"
)

func TestAFailedConnectLeavesNothingBehind(t *testing.T) {
	before := goleak.IgnoreCurrent()
	_, err := natsbinding.Dial(natsbinding.Config{URL: "nats://127.0.0.1:1", ConnectTimeout: time.Second})
	if !errors.Is(err, driver.ErrUnreachable) {
		t.Errorf("Dial: %v, want unreachable", err)
	}
	goleak.VerifyNone(t, before)
}
