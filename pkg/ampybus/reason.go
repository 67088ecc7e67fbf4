package ampybus

import (
	"errors"
	"strings"
)

// Codes of dead-letter reasons. A reason reads "code" or "code: detail"; the
// code alone is a metric label, so the list is closed but for the sub-codes
// that name a header field or a decoder's fault ("envelope:message_id",
// "decode:gzip_limit").
const (
	ReasonEnvelope        = "envelope"         // the headers break the contract
	ReasonDecode          = "decode"           // the payload cannot be decoded
	ReasonHandler         = "handler"          // the retry budget is spent
	ReasonPermanent       = "permanent"        // the handler said that no retry helps
	ReasonPanic           = "panic"            // the handler panicked until the budget was spent
	ReasonPredecessorDead = "predecessor_dead" // an earlier message of the key is a dead letter
	ReasonIDConflict      = "id_conflict"      // a known message_id with another payload
	ReasonDedupeConflict  = "dedupe_conflict"  // a known dedupe_key with another payload
	ReasonPayloadHash     = "payload_hash"     // the payload is not what was published
	ReasonCrashLoop       = "crash_loop"       // the process died on every attempt
)

// maxReasonDetail keeps a long error text from filling the header block.
const maxReasonDetail = 512

// PoisonError is an error that no retry can cure, with the code of its dead
// letter's reason.
type PoisonError struct {
	Code string
	Err  error
}

func (e *PoisonError) Error() string {
	if e.Err == nil {
		return e.Code
	}
	return e.Code + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *PoisonError) Unwrap() error { return e.Err }

// Reason is the code.
func (e *PoisonError) Reason() string { return e.Code }

// reasoner is an error that knows the code of its dead letter.
type reasoner interface{ Reason() string }

// reasonFor makes "code: detail" of err; code stands in where err has none.
func reasonFor(err error, code string) string {
	var r reasoner
	if errors.As(err, &r) {
		code = r.Reason()
	}
	detail := strings.TrimPrefix(strings.TrimPrefix(err.Error(), code), ": ")
	if detail == "" {
		return code
	}
	return code + ": " + headerText(detail, maxReasonDetail)
}

// ReasonCode is the code of a dead letter's reason, for metrics and filters.
// The free text of peers of ampy-bus 1.x counts as its own first word.
func ReasonCode(reason string) string {
	code, _, _ := strings.Cut(reason, ": ")
	code, _, _ = strings.Cut(code, " ")
	return code
}

// headerText makes free text legal as a header value: printable ASCII, no
// space at the ends, at most limit bytes.
func headerText(s string, limit int) string {
	b := make([]byte, 0, min(len(s), limit))
	for _, r := range s {
		if len(b) == limit {
			break
		}
		switch {
		case r == '\n' || r == '\t':
			r = ' '
		case r < ' ' || r > '~':
			r = '?'
		}
		b = append(b, byte(r))
	}
	return strings.TrimSpace(string(b))
}
