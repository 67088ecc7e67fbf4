package natsbinding

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/AmpyFin/ampy-bus/internal/brokertest"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/doctor"
)

// A stream that was made before the bus used batches works as promised and
// slowly: nobody would look for the reason there.
func TestDoctorTellsOfStreamsThatTakeNoBatches(t *testing.T) {
	s := brokertest.Start(t)
	c := Config{URL: s.URL(), Logger: quiet()}
	tr := dial(t, c)
	publishOne(t, tr, "1") // ours, as the bus makes it
	makeStream(t, tr, jetstream.StreamConfig{Name: "AMPY_DEV_NEWS", Subjects: []string{"ampy.dev.news.>"}})
	makeStream(t, tr, jetstream.StreamConfig{Name: "AMPY_DEV_FX", Subjects: []string{"ampy.dev.fx.>"}, Storage: jetstream.MemoryStorage})
	makeStream(t, tr, jetstream.StreamConfig{Name: "THEIRS", Subjects: []string{"ampy.dev.bars.>"}})
	f := batchesOf(t, c)
	const why = "without allow_batched: AMPY_DEV_NEWS; without allow_atomic: AMPY_DEV_FX"
	if f.Verdict != doctor.Partly || !strings.HasSuffix(f.Why, why) {
		t.Errorf("%+v, want …%s", f, why)
	}
	for _, command := range []string{settingCommand(fastSetting), settingCommand(atomicSetting)} {
		if !strings.Contains(f.Fix, command) {
			t.Errorf("the fix %q does not say %q", f.Fix, command)
		}
	}
	addSetting(t, tr, "AMPY_DEV_NEWS", fastSetting)
	addSetting(t, tr, "AMPY_DEV_FX", atomicSetting)
	if f := batchesOf(t, c); f.Verdict != doctor.Holds {
		t.Errorf("after what it advises: %+v", f)
	}
}

func batchesOf(t *testing.T, c Config) doctor.Finding {
	t.Helper()
	for _, f := range Doctor(t.Context(), c) {
		if f.Check == "batches" {
			return f
		}
	}
	t.Fatal("no finding about batches")
	return doctor.Finding{}
}

// addSetting does what settingCommand does.
func addSetting(t *testing.T, tr *Transport, stream, setting string) {
	t.Helper()
	var info struct {
		Config map[string]any `json:"config"`
	}
	ask := func(subject string, body []byte) {
		m, err := tr.nc.Request(subject, body, apiTimeout)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(m.Data, &info); err != nil {
			t.Fatal(err)
		}
	}
	ask("$JS.API.STREAM.INFO."+stream, nil)
	info.Config[setting] = true
	body, err := json.Marshal(info.Config)
	if err != nil {
		t.Fatal(err)
	}
	ask("$JS.API.STREAM.UPDATE."+stream, body)
}
