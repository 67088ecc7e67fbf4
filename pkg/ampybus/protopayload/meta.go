package protopayload

import (
	commonv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/common/v1"
	"google.golang.org/protobuf/proto"
)

// metaOf is the lineage that a payload carries itself, of a batch the first
// record's; nil if it has none.
func metaOf(m proto.Message) *commonv1.Meta {
	records := recordsOf(m)
	if len(records) == 0 {
		return nil
	}
	if r, ok := records[0].(interface{ GetMeta() *commonv1.Meta }); ok {
		return r.GetMeta()
	}
	return nil
}
