package protopayload

import (
	barsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/bars/v1"
	actionsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/corporate_actions/v1"
	fillsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/fills/v1"
	fundamentalsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/fundamentals/v1"
	fxv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/fx/v1"
	metricsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/metrics/v1"
	newsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/news/v1"
	ordersv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/orders/v1"
	positionsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/positions/v1"
	signalsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/signals/v1"
	ticksv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/ticks/v1"
	universev1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/universe/v1"
	"google.golang.org/protobuf/proto"

	controlv1 "github.com/AmpyFin/ampy-bus/pkg/ampybus/control/v1"
)

// schemas lists every payload type; helpers such as ampy.common.v1.Meta are
// none. Naming a type here also links it into the program.
var schemas = []proto.Message{
	(*barsv1.BarBatch)(nil), (*barsv1.Bar)(nil),
	(*ticksv1.TradeTick)(nil), (*ticksv1.QuoteTick)(nil), (*ticksv1.Tick)(nil), (*ticksv1.TickBatch)(nil),
	(*fundamentalsv1.FundamentalsSnapshot)(nil), (*fundamentalsv1.FundamentalsBatch)(nil),
	(*newsv1.NewsItem)(nil), (*newsv1.NewsBatch)(nil),
	(*fxv1.FxRate)(nil), (*fxv1.FxRateBatch)(nil),
	(*actionsv1.CorporateAction)(nil), (*actionsv1.SplitAction)(nil),
	(*actionsv1.DividendAction)(nil), (*actionsv1.CorporateActionBatch)(nil),
	(*universev1.UniverseSnapshot)(nil), (*universev1.UniverseBatch)(nil),
	(*signalsv1.Signal)(nil), (*signalsv1.SignalBatch)(nil),
	(*ordersv1.OrderRequest)(nil), (*ordersv1.OrderRequestBatch)(nil),
	(*fillsv1.FillEvent)(nil), (*fillsv1.FillBatch)(nil),
	(*positionsv1.PositionSnapshot)(nil), (*positionsv1.PositionBatch)(nil),
	(*metricsv1.Metric)(nil), (*metricsv1.MetricBatch)(nil),
	(*controlv1.ReplayRequest)(nil), (*controlv1.ReplayStatus)(nil), (*controlv1.DeadLetterSettlement)(nil),
}
