package protopayload

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Canonical encodes m to the bytes on which Go, Python and C++ agree: known
// fields by number, map entries by the bytes of their keys, then unknown fields
// in the order of their arrival; the same within every message inside.
//
// It is for producers, golden files and comparisons. Bytes that were published
// are never encoded again: hashes, redrive and replay keep them as they are.
func Canonical(m proto.Message) ([]byte, error) {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", FQDN(m), err)
	}
	if d := m.ProtoReflect().Descriptor(); holdsOneof(d, nil) {
		sortRecords(b, d)
	}
	return b, nil
}

// holdsOneof reports whether d, or a message within it, has a oneof: protobuf-go
// writes members of a oneof behind all other fields, and that is the only way in
// which its deterministic form differs from the canonical one.
func holdsOneof(d protoreflect.MessageDescriptor, seen []protoreflect.FullName) bool {
	if slices.Contains(seen, d.FullName()) {
		return false
	}
	seen = append(seen, d.FullName())
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		if oneofName(f) != "-" || f.Message() != nil && holdsOneof(f.Message(), seen) {
			return true
		}
	}
	return false
}

// record is one field as it stands in the bytes; unknown ones sort last.
type record struct {
	rank  protowire.Number
	bytes []byte
}

// sortRecords puts the fields of one encoded message in order, in place: no
// length changes, so the messages around it stay valid. The sort is stable:
// elements of a list and unknown fields keep their order.
func sortRecords(b []byte, d protoreflect.MessageDescriptor) {
	var records []record
	for rest := b; len(rest) > 0; {
		num, wire, n := protowire.ConsumeTag(rest)
		size := n + protowire.ConsumeFieldValue(num, wire, rest[n:])
		f := d.Fields().ByNumber(num)
		rank := num
		if f == nil || wire != wireType(f) {
			rank = protowire.MaxValidNumber + 1
		} else if f.Message() != nil {
			body, _ := protowire.ConsumeBytes(rest[n:])
			sortRecords(body, f.Message())
		}
		records = append(records, record{rank, rest[:size]})
		rest = rest[size:]
	}
	byRank := func(x, y record) int { return int(x.rank) - int(y.rank) }
	if slices.IsSortedFunc(records, byRank) {
		return
	}
	slices.SortStableFunc(records, byRank)
	out := make([]byte, 0, len(b))
	for _, r := range records {
		out = append(out, r.bytes...)
	}
	copy(b, out)
}

// wireType is the wire type under which the encoder writes f. A record of f's
// number with another one is an unknown field.
func wireType(f protoreflect.FieldDescriptor) protowire.Type {
	if f.IsPacked() {
		return protowire.BytesType
	}
	switch f.Kind() {
	case protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind, protoreflect.FloatKind:
		return protowire.Fixed32Type
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind, protoreflect.DoubleKind:
		return protowire.Fixed64Type
	case protoreflect.StringKind, protoreflect.BytesKind, protoreflect.MessageKind:
		return protowire.BytesType
	case protoreflect.GroupKind:
		return protowire.StartGroupType
	}
	return protowire.VarintType
}
