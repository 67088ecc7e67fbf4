package ampybus

import (
	"strings"
	"testing"
)

func TestTraceparentRoundTrips(t *testing.T) {
	const s = "00-4b5b3f2a0f9d4e3db4c8a1f0e3a7c812-00f067aa0ba902b7-00"
	tc, err := ParseTraceparent(s)
	if err != nil || tc.Traceparent() != s || tc.IsZero() {
		t.Fatalf("%v, %v", tc, err)
	}
	if tc.TraceIDString() != s[3:35] || tc.SpanIDString() != s[36:52] {
		t.Errorf("ids %s, %s", tc.TraceIDString(), tc.SpanIDString())
	}
	for range 100 {
		made := NewTrace()
		if back, err := ParseTraceparent(made.Traceparent()); err != nil || back != made || made.Flags != 1 {
			t.Fatalf("%v came back as %v, %v", made, back, err)
		}
	}
}

func TestHostileTraceparentsAreRefused(t *testing.T) {
	const trace, span = "4b5b3f2a0f9d4e3db4c8a1f0e3a7c812", "00f067aa0ba902b7"
	for _, s := range []string{
		"", "00", trace,
		"00-" + strings.Repeat("0", 32) + "-" + span + "-01",
		"00-" + trace + "-" + strings.Repeat("0", 16) + "-01",
		"ff-" + trace + "-" + span + "-01",
		"00-" + trace + "-" + span + "-0",
		"00-" + trace + "-" + span + "-011",
		"00-" + trace + "-" + span + "-01-more",
		"01-" + trace + "-" + span + "-01more",
		"00-" + strings.ToUpper(trace) + "-" + span + "-01",
		"00-" + trace + "-" + strings.ToUpper(span) + "-01",
		"0x-" + trace + "-" + span + "-01",
		"00_" + trace + "_" + span + "_01",
		"00-" + trace[:31] + "g-" + span + "-01",
	} {
		t.Run(s, func(t *testing.T) {
			tc, err := ParseTraceparent(s)
			checkFieldError(t, err, "traceparent", "")
			if !tc.IsZero() {
				t.Errorf("read as %v", tc)
			}
		})
	}
}

func TestChildStaysInTheTrace(t *testing.T) {
	parent := NewTrace()
	child := parent.Child()
	if child.TraceID != parent.TraceID || child.SpanID == parent.SpanID || child.Flags != parent.Flags || child.SpanID == [8]byte{} {
		t.Errorf("%v of %v", child, parent)
	}
}
