package protopayload

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// schemaHashPrefix names the definition of the hash, so that it can change.
const schemaHashPrefix = "v1:sha256:"

// schemaHashes holds the hash of every payload type: a descriptor never changes
// while a program runs, and hashing a large one takes 16 µs.
var schemaHashes = sync.OnceValue(func() map[string]string {
	hashes := make(map[string]string, len(schemas))
	for name, t := range byName() {
		hashes[name] = hashSchema(t.Descriptor())
	}
	return hashes
})

// SchemaHash is the schema_hash header for a payload type: "v1:sha256:" and the
// hex SHA-256 of a text that lists every reachable message, field and enum. It
// is the same in Go, Python and C++, whatever options, comments or file layout
// the type was compiled with. An alias hashes as its real type. The error wraps
// ErrUnknownSchema: a hash of the name alone would prove nothing.
func SchemaHash(fqdn string) (string, error) {
	t, err := Resolve(fqdn)
	if err != nil {
		return "", err
	}
	return schemaHashes()[string(t.Descriptor().FullName())], nil
}

func hashSchema(d protoreflect.MessageDescriptor) string {
	sum := sha256.Sum256([]byte(schemaText(d)))
	return schemaHashPrefix + hex.EncodeToString(sum[:])
}

// schemaText is what the hash is made of: messages and enums by name, fields
// and enum values by number.
func schemaText(root protoreflect.MessageDescriptor) string {
	r := reachable{messages: map[protoreflect.FullName]protoreflect.MessageDescriptor{}, enums: map[protoreflect.FullName]protoreflect.EnumDescriptor{}}
	r.add(root)
	var b strings.Builder
	fmt.Fprintf(&b, "ampy-schema-hash/1\nroot %s\n", root.FullName())
	for _, name := range sorted(r.messages) {
		writeMessage(&b, r.messages[name])
	}
	for _, name := range sorted(r.enums) {
		writeEnum(&b, r.enums[name])
	}
	return b.String()
}

// reachable collects the types that a message refers to, map entries excepted:
// they are written inside the field.
type reachable struct {
	messages map[protoreflect.FullName]protoreflect.MessageDescriptor
	enums    map[protoreflect.FullName]protoreflect.EnumDescriptor
}

func (r reachable) add(d protoreflect.MessageDescriptor) {
	if _, known := r.messages[d.FullName()]; known {
		return
	}
	r.messages[d.FullName()] = d
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		if f.IsMap() {
			f = f.MapValue()
		}
		if f.Message() != nil {
			r.add(f.Message())
		}
		if f.Enum() != nil {
			r.enums[f.Enum().FullName()] = f.Enum()
		}
	}
}

func sorted[D any](m map[protoreflect.FullName]D) []protoreflect.FullName {
	names := make([]protoreflect.FullName, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func writeMessage(b *strings.Builder, d protoreflect.MessageDescriptor) {
	fmt.Fprintf(b, "message %s\n", d.FullName())
	fields := make([]protoreflect.FieldDescriptor, d.Fields().Len())
	for i := range fields {
		fields[i] = d.Fields().Get(i)
	}
	slices.SortFunc(fields, func(x, y protoreflect.FieldDescriptor) int { return int(x.Number()) - int(y.Number()) })
	for _, f := range fields {
		fmt.Fprintf(b, "field %d %s %s %s %s %s\n", f.Number(), f.Name(), cardinality(f), typeName(f), presence(f), oneofName(f))
	}
}

func writeEnum(b *strings.Builder, d protoreflect.EnumDescriptor) {
	kind := "open"
	if d.IsClosed() {
		kind = "closed"
	}
	fmt.Fprintf(b, "enum %s %s\n", d.FullName(), kind)
	values := make([]protoreflect.EnumValueDescriptor, d.Values().Len())
	for i := range values {
		values[i] = d.Values().Get(i)
	}
	slices.SortFunc(values, func(x, y protoreflect.EnumValueDescriptor) int {
		if x.Number() != y.Number() {
			return int(x.Number()) - int(y.Number())
		}
		return strings.Compare(string(x.Name()), string(y.Name()))
	})
	for _, v := range values {
		fmt.Fprintf(b, "value %d %s\n", v.Number(), v.Name())
	}
}

func cardinality(f protoreflect.FieldDescriptor) string {
	switch {
	case f.IsMap():
		return "map"
	case f.IsList() && f.IsPacked():
		return "packed"
	case f.IsList():
		return "many"
	case f.Cardinality() == protoreflect.Required:
		return "required"
	}
	return "one"
}

func typeName(f protoreflect.FieldDescriptor) string {
	if f.IsMap() {
		return "map<" + typeName(f.MapKey()) + "," + typeName(f.MapValue()) + ">"
	}
	switch f.Kind() {
	case protoreflect.MessageKind:
		return "message:" + string(f.Message().FullName())
	case protoreflect.GroupKind:
		return "group:" + string(f.Message().FullName())
	case protoreflect.EnumKind:
		return "enum:" + string(f.Enum().FullName())
	}
	return f.Kind().String()
}

func presence(f protoreflect.FieldDescriptor) string {
	if f.HasPresence() {
		return "explicit"
	}
	return "implicit"
}

func oneofName(f protoreflect.FieldDescriptor) string {
	if o := f.ContainingOneof(); o != nil && !o.IsSynthetic() {
		return string(o.Name())
	}
	return "-"
}
