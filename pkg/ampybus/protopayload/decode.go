package protopayload

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

const (
	// MaxBytes is the largest payload that Decode takes: what a consumer
	// inflates at most. In memory it may become five times as large.
	MaxBytes = 64 << 20
	// maxDepth is the nesting at which Python and C++ refuse a message. Go alone
	// would accept 10,000.
	maxDepth = 100

	// ReasonProto is the dead-letter code of bytes that are no such message.
	ReasonProto = ampybus.ReasonDecode + ":proto"
	// ReasonDecimalScale is the dead-letter reason of a decimal whose scale is
	// out of range, in the words of specification §14.8.
	ReasonDecimalScale = reasonDecodeError + ": " + problemScale

	reasonDecodeError = "decode_error"
	problemScale      = "invalid decimal scale"
)

// ScaleError is the cause inside the error for a decimal whose scale is out of
// range: it says which one.
type ScaleError struct {
	// Path leads to the decimal: bars[3].open.
	Path  string
	Scale int32
}

// Error is the same for every decimal, so that dead letters group by it.
func (e *ScaleError) Error() string { return problemScale }

// Decode reads the uncompressed payload of an envelope whose schema_fqdn is
// fqdn, and checks its decimals. It never panics on what it is given.
//
// An unknown name gives an error that wraps ErrUnknownSchema. Every other error
// is a *ampybus.PoisonError, which no retry can cure: its code is ReasonProto,
// or its whole text ReasonDecimalScale.
func Decode(fqdn string, payload []byte) (proto.Message, error) {
	m, err := New(fqdn)
	if err != nil {
		return nil, err
	}
	if err := unmarshal(payload, m); err != nil {
		return nil, &ampybus.PoisonError{Code: ReasonProto, Err: fmt.Errorf("%s: %w", FQDN(m), err)}
	}
	switch f := consumerRules.inspect(m.ProtoReflect()); {
	case f == nil:
		return m, nil
	case f.problem == problemScale:
		return nil, &ampybus.PoisonError{Code: reasonDecodeError, Err: &ScaleError{Path: f.path, Scale: f.scale}}
	default:
		return nil, &ampybus.PoisonError{Code: ReasonProto, Err: fmt.Errorf("%s: %s: %s", FQDN(m), f.path, f.problem)}
	}
}

func unmarshal(b []byte, m proto.Message) error {
	if len(b) > MaxBytes {
		return fmt.Errorf("%d bytes, the limit is %d", len(b), MaxBytes)
	}
	err := proto.UnmarshalOptions{RecursionLimit: maxDepth}.Unmarshal(b, m)
	if err != nil {
		return errors.New(plain(err))
	}
	return nil
}
