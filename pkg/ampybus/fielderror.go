package ampybus

// FieldError says what is wrong with one field of a topic, header or envelope
// and how to put it right. Functions that find several faults join them, so
// use errors.As, or FieldErrors for all of them.
type FieldError struct {
	// Field is the wire name of the header, or "topic", "pattern", "headers".
	Field string
	// Value is what was found. It is not part of Error: it may hold terminal
	// escapes or personal data. It is empty where it must not be shown at all.
	Value string
	// Problem says what is wrong, Fix what to write instead.
	Problem, Fix string
	// Code is the dead-letter reason of this fault where it has one of its own,
	// such as "duplicate_header". Empty: see Reason.
	Code string
}

// Error is "field: problem; fix". It holds no control character and no
// personal data.
func (e *FieldError) Error() string {
	s := e.Field + ": " + e.Problem
	if e.Fix != "" {
		s += "; " + e.Fix
	}
	return s
}

// Reason is the short code that a dead letter carries for this fault: Code, or
// "envelope:<field>".
func (e *FieldError) Reason() string {
	if e.Code != "" {
		return e.Code
	}
	return "envelope:" + e.Field
}

// FieldErrors lists every *FieldError in err, in the order in which they were
// joined.
func FieldErrors(err error) []*FieldError {
	switch e := err.(type) { //nolint:errorlint // it unwraps by itself, to find all and not only the first
	case nil:
		return nil
	case *FieldError:
		return []*FieldError{e}
	case interface{ Unwrap() []error }:
		var all []*FieldError
		for _, part := range e.Unwrap() {
			all = append(all, FieldErrors(part)...)
		}
		return all
	case interface{ Unwrap() error }:
		return FieldErrors(e.Unwrap())
	}
	return nil
}
