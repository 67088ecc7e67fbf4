package natsbinding

import (
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/doctor"
)

// The settings of a stream that let records of one key go to it together.
const (
	atomicSetting = "allow_atomic"
	fastSetting   = "allow_batched"
)

// lackedSetting is what a stream of ours needs for batches and does not have,
// though the server could give it: it was made by an older server, an earlier
// version of the bus, or by hand. Empty: nothing.
func (t *Transport) lackedSetting(c jetstream.StreamConfig) string {
	able := c
	able.AllowAtomicPublish = c.AllowAtomicPublish || t.atLeast(2, 12)
	able.AllowBatchPublish = c.AllowBatchPublish || t.atLeast(2, 14)
	var usual batching
	switch has, could := usual.kind(c, true), usual.kind(able, true); {
	case has == could:
		return ""
	case could == streamedBatch:
		return fastSetting
	}
	return atomicSetting
}

// batchFact is advice: nothing that is promised depends on it.
func (e *examination) batchFact() doctor.Finding {
	f := doctor.Finding{Check: "batches", Title: "records of a busy key go together", Verdict: doctor.Holds}
	if e.streamsE != nil {
		f.Verdict, f.Why, f.Fix = doctor.Unknown, "see streams", "see streams"
		return f
	}
	lacks := make(map[string][]string)
	for _, s := range e.streams {
		if s.lacks != "" {
			lacks[s.lacks] = append(lacks[s.lacks], s.Name)
		}
	}
	var why, fix []string
	for _, setting := range []string{fastSetting, atomicSetting} {
		if names := lacks[setting]; len(names) > 0 {
			why = append(why, "without "+setting+": "+strings.Join(names, ", "))
			fix = append(fix, settingCommand(setting))
		}
	}
	f.Why = "every stream of the bus takes them as well as this server can"
	if len(why) > 0 {
		f.Verdict, f.Why = doctor.Partly, "a busy key is as slow as one synchronous caller: "+strings.Join(why, "; ")
		f.Fix = strings.Join(fix, "; ") + "; programs that are connected see it when they connect again"
	}
	return f
}

// settingCommand sets a setting on the stream NAME. The nats command has no
// flag for every one, and drops what it does not know; a request does not.
func settingCommand(setting string) string {
	if setting == atomicSetting {
		return "nats stream edit NAME --allow-batch"
	}
	return `nats req '$JS.API.STREAM.UPDATE.NAME' "$(nats req --raw '$JS.API.STREAM.INFO.NAME' '' | jq -c '.config + {` + setting + `: true}')"`
}
