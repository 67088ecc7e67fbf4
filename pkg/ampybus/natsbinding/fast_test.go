package natsbinding

import (
	"errors"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// hearing is a batch of four records on its way, and what became of them.
func hearing(t *testing.T) (tr *Transport, subject string, outcomes func() []driver.Outcome) {
	tr = newTransport(Config{Logger: quiet(), Layout: DefaultLayout(), AckTimeout: testAckTimeout})
	t.Cleanup(tr.acks.close)
	tr.acks.prefix, tr.acks.place = "_INBOX.x.", len("_INBOX.x.")
	tr.unsettled.Add(1)
	var out []driver.Outcome
	p := &publication{t: tr, recs: numbered(4), settle: func(_ int, o driver.Outcome) { out = append(out, o) }, log: &log{name: "S"}}
	reply, _, err := tr.acks.open(&fastBatch{p: p, log: p.log, n: 4}, 0)
	if err != nil {
		t.Fatal(err)
	}
	return tr, reply + ".id" + fastMiddle, func() []driver.Outcome { return out }
}

// What a server says about a batch of four, and what that means. An answer is
// the place that it goes to, a blank and its text.
func TestAnswersToAFastBatch(t *testing.T) {
	const (
		progress = `1 {"type":"ack","seq":0,"msgs":500}`
		gap      = `4 {"type":"gap","last_seq":3,"seq":4}`
		refused  = `3 {"type":"err","seq":3,"error":{"code":503,"err_code":10077,"description":"maximum messages exceeded"}}`
		unknown  = `{"error":{"code":400,"err_code":10208,"description":"batch publish ID unknown"},"stream":"S","seq":0}`
		full     = `{"error":{"code":503,"err_code":10077,"description":"maximum messages exceeded"},"stream":"S","seq":0}`
	)
	for name, c := range map[string]struct {
		answers string
		want    string // s stored, d duplicate, f full, u unavailable, ? uncertain, . not settled
	}{
		"all stored":                 {progress + "\n" + `4 {"stream":"S","seq":9,"batch":"id","count":4}`, "ssss"},
		"all held before":            {progress + "\n" + `4 {"stream":"S","seq":0,"batch":"id","count":4}`, "dddd"},
		"one lost on the way":        {gap + "\n" + `4 {"stream":"S","seq":7,"batch":"id","count":2}`, "ssuu"},
		"one refused":                {refused + "\n" + `3 {"stream":"S","seq":7,"batch":"id","count":2}`, "ssfu"},
		"one refused, another named": {refused + "\n" + `3 {"stream":"S","seq":7,"batch":"id","count":1}`, "suuu"},
		"refused early":              {"3 " + full + "\n" + gap + "\n" + `4 {"stream":"S","seq":7,"batch":"id","count":2}`, "ssfu"},
		"refused, and counted":       {"2 " + full + "\n" + `4 {"stream":"S","seq":9,"batch":"id","count":4}`, "????"},
		"the last refused early":     {"4 " + full, "????"},
		"progress alone":             {progress, "...."},
		"a refusal alone":            {refused, "...."},
		"not known any more":         {"2 " + unknown, "????"},
		"more than were sent":        {`4 {"stream":"S","seq":9,"batch":"id","count":5}`, "????"},
		"not taken as a batch":       {`1 {"stream":"S","seq":9}`, "????"},
		"unreadable":                 {`1 what`, "????"},
	} {
		t.Run(name, func(t *testing.T) {
			tr, subject, settled := hearing(t)
			for answer := range strings.Lines(c.answers) {
				place, text, _ := strings.Cut(strings.TrimSpace(answer), " ")
				tr.acks.onAck(&nats.Msg{Subject: subject + place + fastAppend, Data: []byte(text)})
			}
			if got := signs(settled()); got != c.want {
				t.Errorf("settled as %s, want %s", got, c.want)
			}
		})
	}
}

func signs(out []driver.Outcome) string {
	s := []byte("....")
	for i, o := range out {
		switch {
		case o.Duplicate:
			s[i] = 'd'
		case o.Err == nil:
			s[i] = 's'
		case errors.Is(o.Err, driver.ErrUncertain):
			s[i] = '?'
		case errors.Is(o.Err, driver.ErrFull):
			s[i] = 'f'
		case errors.Is(o.Err, driver.ErrUnavailable):
			s[i] = 'u'
		}
	}
	return string(s)
}

// The stream may be gone in the middle of a batch; before its first record
// nothing is stored.
func TestNobodyAnswersToAFastBatch(t *testing.T) {
	for place, want := range map[string]string{"1": "uuuu", "2": "????"} {
		tr, subject, settled := hearing(t)
		tr.acks.onAck(&nats.Msg{Subject: subject + place + fastAppend, Header: nats.Header{"Status": {"503"}}})
		if got := signs(settled()); got != want {
			t.Errorf("no responders to record %s: settled as %s, want %s", place, got, want)
		}
	}
}

// The server's word on the subject and its word on the batch come in any order.
func TestForbiddenSubjectAmongOthersStopsTheCall(t *testing.T) {
	s := roles(t)
	admin := dial(t, Config{URL: s.URL(), User: "admin", Pass: "x"})
	publishOne(t, admin, "first")
	tr := dial(t, Config{URL: s.URL(), User: "half", Pass: "x"})
	recs := numbered(6)
	recs[3].Topic = "ampy.dev.orders.v1.B"
	for i, o := range outcomes(t, tr, recs...) {
		if stored := i < 3; (o.Err == nil) != stored || errors.Is(o.Err, driver.ErrUncertain) {
			t.Errorf("record %d: %v", i, o.Err)
		}
	}
	if got := outcomes(t, tr, recs[3:]...); !errors.Is(got[0].Err, driver.ErrPermission) || !errors.Is(got[1].Err, driver.ErrUnavailable) {
		t.Errorf("repeated: %+v", got)
	}
	if held := history(t, admin, "ampy.dev.>"); len(held) != 4 {
		t.Errorf("%d records are held, want 4", len(held))
	}
}
