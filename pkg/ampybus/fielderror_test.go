package ampybus

import (
	"errors"
	"fmt"
	"testing"
)

func TestFieldErrorNamesFieldProblemAndFix(t *testing.T) {
	e := &FieldError{Field: "message_id", Value: "x", Problem: "missing", Fix: "use NewID"}
	if e.Error() != "message_id: missing; use NewID" || e.Reason() != "envelope:message_id" {
		t.Errorf("%q, %q", e.Error(), e.Reason())
	}
	e = &FieldError{Field: "partition_key", Problem: "wrong", Code: "key_topic_mismatch"}
	if e.Error() != "partition_key: wrong" || e.Reason() != "key_topic_mismatch" {
		t.Errorf("%q, %q", e.Error(), e.Reason())
	}
}

func TestFieldErrorsAreFoundThroughWrapping(t *testing.T) {
	a, b := &FieldError{Field: "a"}, &FieldError{Field: "b"}
	err := fmt.Errorf("publish x: %w", errors.Join(a, errors.New("other"), errors.Join(b)))
	if got := FieldErrors(err); len(got) != 2 || got[0] != a || got[1] != b {
		t.Errorf("found %v", got)
	}
	if FieldErrors(nil) != nil || FieldErrors(errors.New("x")) != nil {
		t.Error("found something in nothing")
	}
}
