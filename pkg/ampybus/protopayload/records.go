package protopayload

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// recordsOf takes a payload apart into single records: the elements of a batch,
// the member that is set of a choice such as Tick, else the payload itself. A
// choice with nothing set, and an empty batch, have no record.
func recordsOf(m proto.Message) []proto.Message { return appendRecords(nil, m.ProtoReflect()) }

func appendRecords(records []proto.Message, m protoreflect.Message) []proto.Message {
	d := m.Descriptor()
	switch {
	case isBatch(d):
		list := m.Get(d.Fields().Get(0)).List()
		for i := range list.Len() {
			records = appendRecords(records, list.Get(i).Message())
		}
	case isChoice(d):
		if member := m.WhichOneof(d.Oneofs().Get(0)); member != nil {
			records = appendRecords(records, m.Get(member).Message())
		}
	default:
		records = append(records, m.Interface())
	}
	return records
}

// isBatch: the only field is a list of messages.
func isBatch(d protoreflect.MessageDescriptor) bool {
	return d.Fields().Len() == 1 && d.Fields().Get(0).IsList() && d.Fields().Get(0).Message() != nil
}

// isChoice: nothing but one oneof of messages.
func isChoice(d protoreflect.MessageDescriptor) bool {
	if d.Oneofs().Len() != 1 || d.Oneofs().Get(0).Fields().Len() != d.Fields().Len() {
		return false
	}
	for i := range d.Fields().Len() {
		if d.Fields().Get(i).Message() == nil {
			return false
		}
	}
	return true
}
