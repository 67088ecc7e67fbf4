package broker

import (
	"testing"

	commonv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/common/v1"
	ordersv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/orders/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/AmpyFin/ampy-bus/examples/go/service"
)

func TestOrderIsFilledOnceAndAlwaysTheSameWay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := &ordersv1.OrderRequest{
			AccountId: "A", ClientOrderId: rapid.StringMatching(`co_[a-z0-9]{1,12}`).Draw(t, "order"),
			Security: &commonv1.SecurityId{Symbol: "S", Mic: "M"}, Side: commonv1.Side_SIDE_BUY,
			Quantity:  service.Units(rapid.Int64Range(1, 1000).Draw(t, "quantity")),
			CreatedAt: &timestamppb.Timestamp{},
		}
		first, second := execute(o, 100*service.Micro), execute(o, 100*service.Micro)
		ids := make(map[string]bool)
		var filled int64
		for i, x := range first {
			filled += x.fill.GetQuantity().GetScaled()
			ids[x.id] = true
			if x.id != second[i].id || !proto.Equal(x.fill, second[i].fill) {
				t.Errorf("executed again, the order has another execution: %v, %v", x, second[i])
			}
			if x.fill.GetQuantity().GetScaled() <= 0 {
				t.Errorf("execution %s is of %d units", x.id, x.fill.GetQuantity().GetScaled())
			}
		}
		if filled != o.GetQuantity().GetScaled() || len(ids) != len(first) || len(first) > mostParts {
			t.Errorf("%d of %d units in %d executions with %d ids", filled, o.GetQuantity().GetScaled(), len(first), len(ids))
		}
	})
}
