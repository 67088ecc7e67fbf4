// Package doctor is the language in which each binding's Doctor reports: which
// delivery promises hold on the connected broker, why, and how to get the rest.
// The bindings look; this package holds what they say alike.
//
//	for _, f := range kafkabinding.Doctor(ctx, conf) {
//		fmt.Println(f.Verdict, f.Check, f.Why, f.Fix)
//	}
package doctor

import "strings"

// Verdict is what was found.
type Verdict string

// Verdicts. Partly: under fewer faults than the promise names. Unknown: the
// broker does not tell this identity.
const (
	Holds   Verdict = "holds"
	Partly  Verdict = "partly"
	Fails   Verdict = "fails"
	Unknown Verdict = "unknown"
)

// Finding is one row of a report.
type Finding struct {
	// Check is what was looked at: a fact such as "server" or "replicas", or a
	// promise, "P1" to "P17".
	Check   string
	Title   string // in words
	Verdict Verdict
	Why     string
	Fix     string // how to get the rest; empty when it holds
}

// Short lists in one line all that does not hold: "P1=partly P13=fails".
func Short(findings []Finding) string {
	var b strings.Builder
	for _, f := range findings {
		if f.Verdict != Holds {
			b.WriteString(" " + f.Check + "=" + string(f.Verdict))
		}
	}
	return strings.TrimPrefix(b.String(), " ")
}

// OfTheBus completes a report with the promises that no broker decides. found
// is what was found before.
func OfTheBus(found []Finding) []Finding {
	return append(found,
		Finding{Check: "P15", Title: "hostile input does no harm", Verdict: Holds, Why: "sizes and forms are checked by the bus, on both ends"},
		Finding{Check: "P16", Title: "a change to the audit trail is seen", Verdict: Unknown, Why: "depends on checkpoints of the trail that are kept elsewhere", Fix: "keep them where its writer cannot change them"},
		itself(found))
}

// itself judges the report: what could not be read, and might be, is not known.
func itself(found []Finding) Finding {
	f := Finding{Check: "P17", Title: "this report says what holds", Verdict: Holds, Why: "everything that it rests on could be read"}
	var unread []string
	for _, x := range found {
		if x.Verdict == Unknown && x.Fix != "" && !strings.HasPrefix(x.Check, "P") {
			unread = append(unread, x.Check)
		}
	}
	if len(unread) > 0 {
		f.Verdict, f.Why, f.Fix = Partly, "could not be read: "+strings.Join(unread, ", "), "see these"
	}
	return f
}
