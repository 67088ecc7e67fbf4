package ampybus

import (
	"errors"
	"fmt"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// Sentinels that callers branch on with errors.Is.
var (
	// ErrUncertain: the record may be stored or not. A publish error that does
	// not match it means: not stored.
	ErrUncertain = driver.ErrUncertain
	// ErrUnavailable: the broker did not take the record within the publish
	// ceiling of its class; it is not stored.
	ErrUnavailable = driver.ErrUnavailable
	// ErrFull: the broker's log is at a limit of its own; the record is not stored.
	ErrFull = driver.ErrFull
	// ErrTooLarge: the record is over a limit; it is not stored.
	ErrTooLarge = driver.ErrTooLarge
	// ErrPermission: the broker refuses this identity the operation.
	ErrPermission = driver.ErrPermission
	// ErrAuth: the broker refuses the credentials.
	ErrAuth = driver.ErrAuth
	// ErrUnreachable: no broker answers.
	ErrUnreachable = driver.ErrUnreachable
	// ErrFenced: another member of the group owns the lane.
	ErrFenced = driver.ErrFenced
	// ErrClosed: the bus is closed; nothing was stored.
	ErrClosed = driver.ErrClosed
	// ErrConfig: the configuration cannot work; the text names the field and the fix.
	ErrConfig = driver.ErrConfig
)

// PublishError says which message was not stored, or may not be.
type PublishError struct {
	Topic     string
	MessageID string
	Attempts  int
	Err       error
}

func (e *PublishError) Error() string {
	return fmt.Sprintf("publish %s to %s (attempt %d): %v", e.MessageID, e.Topic, e.Attempts, e.Err)
}

// Unwrap returns the cause.
func (e *PublishError) Unwrap() error { return e.Err }

// DataGapError reports records that the broker no longer holds and that the
// group has not finished: positions [From, To) of a lane.
type DataGapError struct {
	Group    string
	Lane     string
	From, To uint64
}

func (e *DataGapError) Error() string {
	return fmt.Sprintf("group %s: data gap in %s: positions %d to %d are no longer held", e.Group, e.Lane, e.From, e.To-1)
}

// Permanent marks err as one that no retry can cure: the message becomes a dead
// letter at once. Permanent(nil) is nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}

type permanentError struct{ err error }

func (e *permanentError) Error() string { return e.err.Error() }
func (e *permanentError) Unwrap() error { return e.err }

// RetryAfter asks for the next attempt after d, instead of the policy's
// backoff. It counts against the retry budget. RetryAfter(d, nil) is nil.
func RetryAfter(d time.Duration, err error) error {
	if err == nil {
		return nil
	}
	return &retryAfterError{d, err}
}

type retryAfterError struct {
	after time.Duration
	err   error
}

func (e *retryAfterError) Error() string { return e.err.Error() }
func (e *retryAfterError) Unwrap() error { return e.err }

func isPermanent(err error) bool {
	var p *permanentError
	return errors.As(err, &p)
}

func retryDelay(err error) (time.Duration, bool) {
	var r *retryAfterError
	if errors.As(err, &r) {
		return r.after, true
	}
	return 0, false
}
