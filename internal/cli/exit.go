package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// Exit codes of every command.
const (
	ExitOK          = 0
	ExitFailure     = 1
	ExitUsage       = 2 // a flag, or what it names, is not acceptable
	ExitCheck       = 3 // a check failed: doctor, validate-fixture
	ExitNothing     = 4 // nothing found
	ExitRefused     = 5 // the broker refuses the credentials or the operation
	ExitUnreachable = 6 // no broker answers
	ExitTimeout     = 7
	ExitPartial     = 8 // some was done and some was left
)

// exitCodes explains them in the program's help.
const exitCodes = `Data goes to stdout, all else to stderr. Exit codes: 0 done, 1 failure, 2 a flag
or its value is not acceptable, 3 a check failed, 4 nothing found, 5 refused by
the broker, 6 no broker answers, 7 timeout, 8 done in part.`

// statusError is an error that knows its exit code.
type statusError struct {
	code int
	err  error
}

func (e *statusError) Error() string { return e.err.Error() }
func (e *statusError) Unwrap() error { return e.err }

func exitf(code int, format string, args ...any) error {
	return &statusError{code, fmt.Errorf(format, args...)}
}

// usagef is a refusal of what the user wrote: it names the flag and the fix.
func usagef(format string, args ...any) error { return exitf(ExitUsage, format, args...) }

// exitCode maps an error to an exit code.
func exitCode(err error) int {
	var status *statusError
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &status):
		return status.code
	case errors.Is(err, ampybus.ErrConfig), ampybus.FieldErrors(err) != nil:
		return ExitUsage
	case errors.Is(err, ampybus.ErrAuth), errors.Is(err, ampybus.ErrPermission):
		return ExitRefused
	case errors.Is(err, ampybus.ErrUncertain), errors.Is(err, context.DeadlineExceeded):
		return ExitTimeout
	case errors.Is(err, ampybus.ErrUnreachable), errors.Is(err, ampybus.ErrUnavailable):
		return ExitUnreachable
	}
	return ExitFailure
}
