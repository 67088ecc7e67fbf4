package protopayload

import (
	"errors"
	"fmt"
	"sync"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// ErrUnknownSchema: no payload type has this name. A consumer may still handle
// the payload, which is opaque to the bus.
var ErrUnknownSchema = errors.New("unknown payload schema")

// byName finds a payload type by its full name.
var byName = sync.OnceValue(func() map[string]protoreflect.MessageType {
	types := make(map[string]protoreflect.MessageType, len(schemas))
	for _, m := range schemas {
		types[FQDN(m)] = m.ProtoReflect().Type()
	}
	return types
})

// Schemas lists the full names of all payload types, domain by domain, each
// domain's default first.
func Schemas() []string {
	names := make([]string, len(schemas))
	for i, m := range schemas {
		names[i] = FQDN(m)
	}
	return names
}

// Resolve finds the type that a schema_fqdn header names. The names that the
// specification uses for types that ampy-proto calls otherwise are aliases:
// ampy.fills.v1.Fill is FillEvent, ampy.positions.v1.Position is
// PositionSnapshot. The error wraps ErrUnknownSchema.
func Resolve(fqdn string) (protoreflect.MessageType, error) {
	if t, ok := byName()[ampybus.CanonicalSchema(fqdn)]; ok {
		return t, nil
	}
	return nil, fmt.Errorf("%w %q", ErrUnknownSchema, fqdn)
}

// New returns an empty message of the type that fqdn names. The error wraps
// ErrUnknownSchema.
func New(fqdn string) (proto.Message, error) {
	t, err := Resolve(fqdn)
	if err != nil {
		return nil, err
	}
	return t.New().Interface(), nil
}

// FQDN is the name that a producer writes as schema_fqdn for m.
func FQDN(m proto.Message) string { return string(m.ProtoReflect().Descriptor().FullName()) }
