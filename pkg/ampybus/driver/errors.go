package driver

import (
	"errors"
	"fmt"
)

// Sentinels that a driver's errors wrap.
var (
	// ErrUncertain: a record may be stored or not.
	ErrUncertain = errors.New("uncertain whether it was stored")
	// ErrUnavailable: nothing was stored; trying again can help.
	ErrUnavailable = errors.New("broker unavailable")
	// ErrFull: the log refuses records because a limit of its own is reached.
	// Nothing was stored; trying again can help once there is room.
	ErrFull = errors.New("log is full")
	// ErrTooLarge: the record is over the broker's limit.
	ErrTooLarge = errors.New("record over the broker's limit")
	// ErrPermission: the broker refuses this identity the operation.
	ErrPermission = errors.New("permission denied")
	// ErrAuth: the broker refuses the credentials.
	ErrAuth = errors.New("authentication refused")
	// ErrUnreachable: no broker answers.
	ErrUnreachable = errors.New("broker unreachable")
	// ErrFenced: another member owns the lane.
	ErrFenced = errors.New("fenced: another member owns the lane")
	// ErrNoLog: no log holds the topic.
	ErrNoLog = errors.New("no log holds the topic")
	// ErrClosed: the transport or source is closed.
	ErrClosed = errors.New("closed")
	// ErrConfig: the configuration cannot work; the text names the field and the fix.
	ErrConfig = errors.New("invalid configuration")
)

// GapError reports records that are gone: positions [From, To) of Log.
type GapError struct {
	Log      string
	From, To uint64
}

func (e *GapError) Error() string {
	return fmt.Sprintf("data gap in %s: positions %d to %d are no longer held", e.Log, e.From, e.To-1)
}
