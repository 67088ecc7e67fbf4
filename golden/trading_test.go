package golden

import (
	"testing"

	commonv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/common/v1"
	fillsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/fills/v1"
	ordersv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/orders/v1"
	positionsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/positions/v1"
	signalsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/signals/v1"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

const (
	account = "ALPACA-LIVE-01"
	orderID = "co_20250905_001"
	model   = "hyper@2025-09-05"
	liveRun = "live_trading_44"

	modelServer = "ampy-model-server@mdl-1"
	orderSystem = "ampy-oms@oms-2"
	broker      = "broker-alpaca@alp-1"
	accounting  = "ampy-position-pnl@pnl-1"
)

func alpha() *signalsv1.Signal {
	return &signalsv1.Signal{
		Security: security("NVDA", "XNAS"), Type: commonv1.SignalType_SIGNAL_TYPE_ALPHA, ModelId: model, Horizon: "5d",
		GeneratedAt: at(clock(19, 31, 3, 0)), ExpiresAt: at(clock(19, 31, 3, 0).AddDate(0, 0, 7)),
		Value: &signalsv1.Signal_Score{Score: decimal(-3450, 4)},
		Meta:  meta("live_0912", "ampy-model-server", "mdl-1", "ampy.signals.v1"),
	}
}

func signalSamples() []sample {
	topic := "ampy.prod.signals.v1." + model
	hold := &signalsv1.Signal{
		Security: security("BRK.B", "XNYS"), Type: commonv1.SignalType_SIGNAL_TYPE_ACTION, ModelId: model, Horizon: "1d",
		GeneratedAt: at(clock(19, 31, 3, 0)), Value: &signalsv1.Signal_Action{Action: commonv1.ActionType_ACTION_TYPE_UNSPECIFIED},
		Meta: meta("live_0912", "ampy-model-server", "mdl-1", "ampy.signals.v1"),
	}
	return []sample{
		{
			path: "signals/typical", note: "An ALPHA score (specification §14.5), with the horizon in the key.",
			topic: topic, producer: modelServer, run: "live_0912", produced: clock(19, 31, 3, 0), message: alpha(),
		},
		{
			path: "signals/minimal", note: "A model and a security and nothing else: without a horizon the key ends with the security.",
			topic: "ampy.dev.signals.v1." + model, producer: modelServer,
			message: &signalsv1.Signal{ModelId: model, Security: security("NVDA", "XNAS")},
		},
		{
			path: "signals/key_without_horizon", note: "The key as specification §14.5 shows it, which is accepted too.",
			topic: topic, producer: modelServer, run: "live_0912", key: model + "|NVDA.XNAS", message: alpha(),
		},
		{
			path: "signals/zero_action", note: "A member of the oneof that is set to zero, in front of meta: the bytes that differ between languages if the encoder is not canonical.",
			topic: topic, producer: modelServer, run: "live_0912", message: hold,
		},
		{
			path: "signals/batch", note: "Signals of one model for two securities: the producer names the key.",
			topic: topic, producer: modelServer, run: "live_0912", key: model + "|all",
			message: &signalsv1.SignalBatch{Signals: []*signalsv1.Signal{alpha(), hold}},
		},
	}
}

func limitOrder() *ordersv1.OrderRequest {
	return &ordersv1.OrderRequest{
		AccountId: account, ClientOrderId: orderID, Security: security("AAPL", "XNAS"),
		Side: commonv1.Side_SIDE_BUY, OrderType: commonv1.OrderType_ORDER_TYPE_LIMIT, Tif: commonv1.TimeInForce_TIME_IN_FORCE_DAY,
		Quantity: decimal(10000, 2), LimitPrice: decimal(1919900, 4), Venue: "ALPACA", StrategyTag: "hyper",
		CreatedAt: at(clock(19, 31, 5, 0)), Meta: meta(liveRun, "ampy-oms", "oms-2", "ampy.orders.v1"),
	}
}

func orderSamples() []sample {
	const topic = "ampy.prod.orders.v1.requests"
	return []sample{
		{
			path: "orders/typical", note: "A limit order (specification §14.5); the order's id is key and dedupe key.",
			topic: topic, producer: orderSystem, run: liveRun, produced: clock(19, 31, 5, 0), message: limitOrder(),
		},
		{
			path: "orders/minimal", note: "An order id and nothing else.",
			topic: "ampy.paper.orders.v1.requests", producer: orderSystem, message: &ordersv1.OrderRequest{ClientOrderId: "paper_order_001"},
		},
		{
			path: "orders/fractional_stop_limit", note: "A fraction of a share with nine decimal places, a stop and a limit.",
			topic: topic, producer: orderSystem, run: liveRun,
			message: &ordersv1.OrderRequest{
				AccountId: account, ClientOrderId: "co_20250905_002", Security: security("BRK.B", "XNYS"),
				Side: commonv1.Side_SIDE_SELL, OrderType: commonv1.OrderType_ORDER_TYPE_STOP_LIMIT, Tif: commonv1.TimeInForce_TIME_IN_FORCE_GTC,
				Quantity: decimal(1, 9), LimitPrice: decimal(49700, 2), StopPrice: decimal(49750, 2), CreatedAt: at(clock(19, 31, 5, 1)),
			},
		},
		{
			path: "orders/batch_of_one", note: "A batch may hold one order only: each may be refused alone. Published for the second time after a failure.",
			topic: topic, producer: orderSystem, run: liveRun,
			message: &ordersv1.OrderRequestBatch{Orders: []*ordersv1.OrderRequest{limitOrder()}},
			change:  func(_ *testing.T, e *ampybus.Envelope) { e.Headers.RetryCount = 1 },
		},
	}
}

func partialFill() *fillsv1.FillEvent {
	return &fillsv1.FillEvent{
		AccountId: account, ClientOrderId: orderID, BrokerOrderId: "brk_778899", Security: security("AAPL", "XNAS"),
		Price: decimal(1920000, 4), Quantity: decimal(1500, 2), Venue: "ALPACA", EventTime: at(clock(19, 31, 6, 0)),
		Meta: meta(liveRun, "broker-alpaca", "alp-1", "ampy.fills.v1"),
	}
}

func fillSamples() []sample {
	const topic = "ampy.prod.fills.v1.events"
	return []sample{
		{
			path: "fills/typical", note: "A partial fill (specification §14.6) with the broker's execution id as dedupe key.",
			topic: topic, producer: broker, run: liveRun, produced: clock(19, 31, 6, 0), message: partialFill(),
			change: func(_ *testing.T, e *ampybus.Envelope) { e.Headers.DedupeKey = "brk_778899:exec_1" },
		},
		{
			path: "fills/minimal", note: "An account and an order id and nothing else.",
			topic: "ampy.dev.fills.v1.events", producer: broker, message: &fillsv1.FillEvent{AccountId: account, ClientOrderId: orderID},
		},
		{
			path: "fills/twin_1", note: "The first of two executions that are equal in every byte; only the message id tells them apart.",
			topic: topic, producer: broker, run: liveRun, produced: clock(19, 31, 6, 0), message: partialFill(),
		},
		{
			path: "fills/twin_2", note: "The second of two executions that are equal in every byte: both count.",
			topic: topic, producer: broker, run: liveRun, produced: clock(19, 31, 6, 0), message: partialFill(),
		},
		{
			path: "fills/batch", note: "Two fills of one order in one message.",
			topic: topic, producer: broker, run: liveRun,
			message: &fillsv1.FillBatch{Fills: []*fillsv1.FillEvent{partialFill(), partialFill()}},
		},
	}
}

func positionSamples() []sample {
	const topic = "ampy.prod.positions.v1.snapshots"
	lineage := meta(liveRun, "ampy-position-pnl", "pnl-1", "ampy.positions.v1")
	return []sample{
		{
			path: "positions/typical", note: "A snapshot (specification §14.6).",
			topic: topic, producer: accounting, run: liveRun, produced: clock(19, 35, 0, 0), message: longPosition(),
		},
		{
			path: "positions/minimal", note: "An account and a security and nothing else: a flat position without a time.",
			topic: "ampy.dev.positions.v1.snapshots", producer: accounting,
			message: &positionsv1.PositionSnapshot{AccountId: account, Security: security("AAPL", "XNAS")},
		},
		{
			path: "positions/short_other_currency", note: "A short position in won, and a quantity that is zero but present in realized_pnl.",
			topic: topic, producer: accounting, run: liveRun,
			message: &positionsv1.PositionSnapshot{
				AccountId: account, Security: &commonv1.SecurityId{Symbol: "005930", Mic: "XKRX", Isin: "KR7005930003"},
				Quantity: decimal(-1200, 0), AvgPrice: decimal(71400, 0), UnrealizedPnl: money(-1_234_567_890_123, 0, "KRW"),
				RealizedPnl: money(0, 0, "KRW"), AsOf: at(clock(19, 35, 0, 123_456_789)), Meta: lineage,
			},
		},
	}
}

func longPosition() *positionsv1.PositionSnapshot {
	return &positionsv1.PositionSnapshot{
		AccountId: account, Security: security("AAPL", "XNAS"), Quantity: decimal(9850, 2), AvgPrice: decimal(1917500, 4),
		UnrealizedPnl: money(24500, 2, "USD"), RealizedPnl: money(-3200, 2, "USD"), AsOf: at(clock(19, 35, 0, 0)),
		Meta: meta(liveRun, "ampy-position-pnl", "pnl-1", "ampy.positions.v1"),
	}
}
