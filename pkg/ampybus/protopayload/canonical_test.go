package protopayload

import (
	"bytes"
	"encoding/hex"
	"math"
	"slices"
	"testing"

	commonv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/common/v1"
	metricsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/metrics/v1"
	signalsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/signals/v1"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"pgregory.net/rapid"
)

// reference writes the canonical form from its definition: fields by number,
// map entries by the bytes of their keys, unknown fields last.
func reference(b []byte, m protoreflect.Message) []byte {
	var fields []protoreflect.FieldDescriptor
	m.Range(func(f protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
		fields = append(fields, f)
		return true
	})
	slices.SortFunc(fields, func(x, y protoreflect.FieldDescriptor) int { return int(x.Number()) - int(y.Number()) })
	for _, f := range fields {
		v := m.Get(f)
		switch {
		case f.IsMap():
			var keys []string
			v.Map().Range(func(k protoreflect.MapKey, _ protoreflect.Value) bool {
				keys = append(keys, k.String())
				return true
			})
			slices.Sort(keys)
			for _, k := range keys {
				entry := referenceValue(nil, f.MapKey(), protoreflect.ValueOfString(k))
				entry = referenceValue(entry, f.MapValue(), v.Map().Get(protoreflect.ValueOfString(k).MapKey()))
				b = protowire.AppendTag(b, f.Number(), protowire.BytesType)
				b = protowire.AppendBytes(b, entry)
			}
		case f.IsList():
			for i := range v.List().Len() {
				b = referenceValue(b, f, v.List().Get(i))
			}
		default:
			b = referenceValue(b, f, v)
		}
	}
	return append(b, m.GetUnknown()...)
}

func referenceValue(b []byte, f protoreflect.FieldDescriptor, v protoreflect.Value) []byte {
	b = protowire.AppendTag(b, f.Number(), wireType(f))
	switch f.Kind() {
	case protoreflect.MessageKind:
		return protowire.AppendBytes(b, reference(nil, v.Message()))
	case protoreflect.StringKind:
		return protowire.AppendString(b, v.String())
	case protoreflect.DoubleKind:
		return protowire.AppendFixed64(b, math.Float64bits(v.Float()))
	case protoreflect.BoolKind:
		return protowire.AppendVarint(b, protowire.EncodeBool(v.Bool()))
	case protoreflect.EnumKind:
		return protowire.AppendVarint(b, uint64(v.Enum()))
	case protoreflect.Sint64Kind:
		return protowire.AppendVarint(b, protowire.EncodeZigZag(v.Int()))
	case protoreflect.Int32Kind, protoreflect.Int64Kind:
		return protowire.AppendVarint(b, uint64(v.Int()))
	}
	panic("a payload type has a kind that this test does not know: " + f.Kind().String())
}

func TestCanonicalIsFieldsByNumberMapsByKeyUnknownLast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := anyMessage(t)
		got, err := Canonical(m)
		if err != nil {
			t.Fatal(err)
		}
		if want := reference(nil, m.ProtoReflect()); !bytes.Equal(got, want) {
			t.Fatalf("%s:\n got %x\nwant %x", FQDN(m), got, want)
		}
	})
}

func TestDecodedCanonicalBytesEncodeToThemselves(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := anyMessage(t)
		first, err := Canonical(m)
		if err != nil {
			t.Fatal(err)
		}
		again, _ := New(FQDN(m))
		if err := unmarshal(first, again); err != nil {
			t.Fatal(err)
		}
		if second, _ := Canonical(again); !bytes.Equal(first, second) || !proto.Equal(m, again) {
			t.Fatalf("%s:\n%x\n%x", FQDN(m), first, second)
		}
	})
}

// A signal with meta is what protobuf-go alone writes differently: 4a before 40.
func TestCanonicalPutsAOneofBetweenThePlainFields(t *testing.T) {
	s := &signalsv1.Signal{ModelId: "m", Value: &signalsv1.Signal_Action{}, Meta: &commonv1.Meta{}}
	if got, _ := Canonical(s); hex.EncodeToString(got) != "1a016d40004a00" {
		t.Errorf("got %x", got)
	}
}

// upb sorts "reason" behind "reason_code", and "" last; C++ and Go do not.
func TestCanonicalSortsMapKeysByTheirBytes(t *testing.T) {
	m := &metricsv1.Metric{Labels: map[string]string{"reason_code": "1", "reason": "2", "": "3", "rz": "4"}}
	got, _ := Canonical(m)
	var keys []string
	for rest := got; len(rest) > 0; {
		_, _, n := protowire.ConsumeField(rest)
		entry, _ := protowire.ConsumeBytes(rest[1:])
		_, _, k := protowire.ConsumeField(entry)
		key, _ := protowire.ConsumeString(entry[1:])
		keys, rest = append(keys, key), rest[n:]
		_ = k
	}
	if want := []string{"", "reason", "reason_code", "rz"}; !slices.Equal(keys, want) {
		t.Errorf("got %q, want %q", keys, want)
	}
}

// anyMessage draws a message of any payload type, with unknown fields at every
// level, some under known numbers with another wire type.
func anyMessage(t *rapid.T) proto.Message {
	mt, _ := Resolve(rapid.SampledFrom(Schemas()).Draw(t, "type"))
	m := mt.New()
	fill(t, m)
	return m.Interface()
}

func fill(t *rapid.T, m protoreflect.Message) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if !rapid.Bool().Draw(t, "set") {
			continue
		}
		switch {
		case f.IsMap():
			for _, k := range rapid.SliceOfN(rapid.StringMatching(`(reason|rea|r)?(_code)?`), 0, 4).Draw(t, "keys") {
				m.Mutable(f).Map().Set(protoreflect.ValueOfString(k).MapKey(), protoreflect.ValueOfString("v"))
			}
		case f.IsList():
			for range rapid.IntRange(0, 3).Draw(t, "elements") {
				m.Mutable(f).List().Append(anyValue(t, f, m.Mutable(f).List().NewElement()))
			}
		default:
			m.Set(f, anyValue(t, f, m.NewField(f)))
		}
	}
	m.SetUnknown(anyUnknown(t, fields))
}

func anyValue(t *rapid.T, f protoreflect.FieldDescriptor, empty protoreflect.Value) protoreflect.Value {
	switch f.Kind() {
	case protoreflect.MessageKind:
		fill(t, empty.Message())
		return empty
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(rapid.StringMatching(`[a-zé]{0,3}`).Draw(t, "string"))
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(rapid.Float64().Draw(t, "double"))
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(rapid.Bool().Draw(t, "bool"))
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(rapid.Int32Range(-1, 9).Draw(t, "enum")))
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(rapid.Int32().Draw(t, "int32"))
	default:
		return protoreflect.ValueOfInt64(rapid.Int64().Draw(t, "int64"))
	}
}

func anyUnknown(t *rapid.T, fields protoreflect.FieldDescriptors) []byte {
	var b []byte
	for range rapid.IntRange(0, 2).Draw(t, "unknown") {
		num := protowire.Number(rapid.SampledFrom([]int{1, 2, 3, 7, 8, 100, 536870911}).Draw(t, "number"))
		if f := fields.ByNumber(num); f == nil || wireType(f) != protowire.Fixed32Type {
			b = protowire.AppendTag(b, num, protowire.Fixed32Type)
			b = protowire.AppendFixed32(b, rapid.Uint32().Draw(t, "value"))
		}
	}
	return b
}
