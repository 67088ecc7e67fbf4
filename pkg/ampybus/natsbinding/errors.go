package natsbinding

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// JetStream's error codes that change what we do (nats-server: errors.json).
const (
	codeAccountResources  = 10002
	codeNoPeers           = 10005
	codeClusterNotAvail   = 10008
	codeNotLeader         = 10009
	codeInsufficient      = 10023
	codeMemoryExceeded    = 10028
	codeJetStreamOff      = 10039
	codeNoMessage         = 10037
	codeStorageExceeded   = 10047
	codeStreamCreate      = 10049
	codeMessageTooLarge   = 10054
	codeStreamNotFound    = 10059
	codeWrongStream       = 10060
	codeSubjectOverlap    = 10065
	codeStoreFailed       = 10077
	codeHeaderTooLarge    = 10097
	codeSealed            = 10109
	codeDuplicateInFlight = 10158
	codeTooManyRequests   = 10167

	codeBatchDisabled    = 10174
	codeBatchIncomplete  = 10176
	codeBatchTooLarge    = 10199
	codeBatchDuplicate   = 10201
	codeBatchTooManyOpen = 10210

	codeFastDisabled    = 10205
	codeFastUnknown     = 10208
	codeFastTooManyOpen = 10211
)

// apiError is an error in a publish acknowledgement.
type apiError struct {
	Code        int    `json:"code"`
	ErrCode     int    `json:"err_code"`
	Description string `json:"description"`
}

func (e *apiError) Error() string {
	return fmt.Sprintf("%s (%d)", e.Description, e.ErrCode)
}

// Unwrap classifies the refusal of a record. An acknowledgement that carries an
// error means that nothing was stored, but for the cases named here.
func (e *apiError) Unwrap() error {
	switch e.ErrCode {
	case codeMessageTooLarge, codeHeaderTooLarge:
		return driver.ErrTooLarge
	case codeAccountResources, codeInsufficient, codeMemoryExceeded, codeStorageExceeded, codeTooManyRequests:
		return driver.ErrFull
	case codeStoreFailed:
		if strings.Contains(e.Description, "maximum") || strings.Contains(e.Description, "no space") {
			return driver.ErrFull
		}
		// The store broke while writing: nobody knows how far it came.
		return driver.ErrUncertain
	case codeStreamCreate:
		// As when the server clears the directory of the last stream that was
		// deleted, and a new one goes there.
		if strings.Contains(e.Description, "creating store") {
			return driver.ErrUnavailable
		}
	case codeDuplicateInFlight:
		// The server is storing an earlier copy at this moment.
		return driver.ErrUncertain
	case codeClusterNotAvail, codeNotLeader, codeNoPeers, codeJetStreamOff, codeStreamNotFound,
		codeBatchIncomplete, codeBatchTooManyOpen, codeFastTooManyOpen:
		return driver.ErrUnavailable
	}
	return nil
}

// requestError names an operation and turns the client's errors into the
// driver's: for requests, where nothing is half done.
func requestError(op string, err error) error {
	var kind error
	switch {
	case err == nil:
		return nil
	case isDriverError(err):
		return fmt.Errorf("%s: %w", op, err)
	case errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrConnectionDraining):
		kind = driver.ErrClosed
	case errors.Is(err, nats.ErrNoResponders), errors.Is(err, jetstream.ErrNoStreamResponse),
		errors.Is(err, nats.ErrTimeout), errors.Is(err, context.DeadlineExceeded),
		errors.Is(err, nats.ErrReconnectBufExceeded), errors.Is(err, nats.ErrDisconnected),
		errors.Is(err, jetstream.ErrServerShutdown):
		kind = driver.ErrUnavailable
	}
	var api *jetstream.APIError
	if kind == nil && errors.As(err, &api) {
		kind = (&apiError{ErrCode: int(api.ErrorCode), Description: api.Description}).Unwrap()
	}
	if kind == nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	return fmt.Errorf("%s: %w: %w", op, kind, err)
}

func isDriverError(err error) bool {
	for _, kind := range []error{driver.ErrPermission, driver.ErrUnavailable, driver.ErrClosed, driver.ErrConfig, driver.ErrNoLog, driver.ErrFenced, driver.ErrUncertain} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// hasCode reports whether err is a JetStream refusal with this code, told to the
// client or, where we ask past it, to us.
func hasCode(err error, code int) bool {
	var own *apiError
	if errors.As(err, &own) {
		return own.ErrCode == code
	}
	var api *jetstream.APIError
	return errors.As(err, &api) && int(api.ErrorCode) == code
}

// leaderless reports that a request failed because a cluster has no leader right
// now: it answers again by itself. For the first seconds it says nothing at all.
func (t *Transport) leaderless(err error) bool {
	silent := errors.Is(err, context.DeadlineExceeded) && t.nc.IsConnected() && t.nc.ConnectedClusterName() != ""
	return silent || hasCode(err, codeClusterNotAvail) || hasCode(err, codeNotLeader)
}
