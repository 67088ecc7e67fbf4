package delivery

import (
	"context"
	"encoding/json"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/AmpyFin/ampy-bus/internal/chaos"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// slowRole is a service that is ten times slower than what it is sent, for a
// while from its first message on; then it says how much memory it ever took, in KiB, and how many
// messages it handled.
func slowRole(args []byte) error {
	var s chaos.Service
	if err := json.Unmarshal(args, &s); err != nil {
		return err
	}
	bus, err := chaos.Connect(s.URL)
	if err != nil {
		return err
	}
	var handled atomic.Int64
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var first sync.Once
	chaos.Say("ready")
	err = bus.Consume(ctx, ampybus.Consumer{Pattern: s.Topic, Group: chaos.Group, Workers: 1},
		func(context.Context, *ampybus.Message) error {
			first.Do(func() { time.AfterFunc(s.Takes, stop) })
			<-time.After(10 * time.Millisecond)
			handled.Add(1)
			return nil
		})
	if err != nil {
		return err
	}
	peak, err := peakKiB()
	if err != nil {
		return err
	}
	chaos.Say("peak", strconv.Itoa(peak))
	chaos.Say("handled", strconv.FormatInt(handled.Load(), 10))
	return bus.Close()
}

// peakKiB is the most memory that this process ever held (Linux: VmHWM). With
// the race detector, which shadows every byte that Go code touches, it is what
// Go itself took of it.
func peakKiB() (int, error) {
	if raced() {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.Sys >> 10), nil
	}
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			return strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(rest), " kB"))
		}
	}
	return 0, os.ErrNotExist
}

func raced() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

func TestASlowConsumerHoldsLittleMemory(t *testing.T) {
	inProcesses(t, chaos.NewsTopic, slowConsumer)
}

func slowConsumer(w *world, s chaos.Service) {
	const limitMiB = 256
	n, size, long := scaled(5000, 20_000), scaled(100<<10, 25<<10), time.Duration(scaled(5, 60))*time.Second
	s.Takes = long
	c := chaos.Start(w.t, "slow", s)
	c.Await(w.t, "ready")
	// As large payloads are: compressed already. A Kafka client holds what it
	// fetches unpacked, however small it was on the wire.
	payload := make([]byte, size)
	for i := range payload {
		payload[i] = byte(w.Dice.Uint32())
	}
	var settled chaos.Counter
	for i := range n {
		settled.Await(w.t.Context(), i-63)
		e := w.Message("k"+strconv.Itoa(i%50), i/50)
		e.Payload = payload
		w.Bus.PublishAsync(e, func(error) { settled.Add(1) })
	}
	settled.Await(w.t.Context(), n)
	peak, err := strconv.Atoi(c.Await(w.t, "peak"))
	if err != nil {
		w.t.Fatal(err)
	}
	handled, _ := strconv.Atoi(c.Await(w.t, "handled"))
	w.t.Logf("%d MiB published, %d of %d handled, peak %d MiB", n*size>>20, handled, n, peak>>10)
	w.AtLeast("MiB published", n*size>>20, limitMiB*3/2)
	w.AtLeast("handled", handled, 100)
	w.AtLeast("left", n-handled, n/2)
	if peak > limitMiB<<10 {
		w.t.Errorf("the consumer took %d MiB, the limit is %d", peak>>10, limitMiB)
	}
}
