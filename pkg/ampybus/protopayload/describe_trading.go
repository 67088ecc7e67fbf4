package protopayload

import (
	"strings"

	fillsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/fills/v1"
	ordersv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/orders/v1"
	positionsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/positions/v1"
	signalsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/signals/v1"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

func describeSignal(f *finder, s *signalsv1.Signal) Facts {
	model := f.need("model_id", s.GetModelId())
	symbol, mic := f.security(s.GetSecurity())
	kind := strings.TrimPrefix(s.GetType().String(), "SIGNAL_TYPE_")
	security := ampybus.SecurityKey(symbol, mic)
	facts := Facts{
		Subtopic:  model,
		Key:       ampybus.SignalKey(model, symbol, mic, s.GetHorizon()),
		CoarseKey: ampybus.SignalKey(model, symbol, mic, ""),
		EventTime: moment(s.GetGeneratedAt()),
		ExpiresAt: moment(s.GetExpiresAt()),
	}
	if at := stamp(s.GetGeneratedAt()); at != "" {
		facts.DedupeKey = strings.Join([]string{model, security, s.GetHorizon(), kind, at}, "|")
	}
	return facts
}

func describeOrder(f *finder, o *ordersv1.OrderRequest) Facts {
	id := f.need("client_order_id", o.GetClientOrderId())
	return Facts{
		Subtopic:  "requests",
		Key:       ampybus.OrderKey(id),
		DedupeKey: id,
		EventTime: moment(o.GetCreatedAt()),
	}
}

// describeFill derives no dedupe key: the payload has no execution id, and two
// executions may be equal in every field.
func describeFill(f *finder, e *fillsv1.FillEvent) Facts {
	account := f.need("account_id", e.GetAccountId())
	return Facts{
		Subtopic:  "events",
		Key:       ampybus.FillKey(account, f.need("client_order_id", e.GetClientOrderId())),
		EventTime: moment(e.GetEventTime()),
	}
}

func describePosition(f *finder, p *positionsv1.PositionSnapshot) Facts {
	account := f.need("account_id", p.GetAccountId())
	symbol, mic := f.security(p.GetSecurity())
	key := ampybus.PositionKey(account, symbol, mic)
	return Facts{
		Subtopic:  "snapshots",
		Key:       key,
		DedupeKey: natural(key, stamp(p.GetAsOf())),
		EventTime: moment(p.GetAsOf()),
		AsOf:      moment(p.GetAsOf()),
	}
}
