package protopayload

import (
	"errors"
	"testing"

	barsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/bars/v1"
	commonv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/common/v1"
	fxv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/fx/v1"
	newsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/news/v1"
	ordersv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/orders/v1"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

func TestEnvelopeOfAPayloadIsValidAndDecodes(t *testing.T) {
	order := &ordersv1.OrderRequest{
		AccountId: "A", ClientOrderId: "co_1", CreatedAt: at(noon),
		Meta: &commonv1.Meta{RunId: "run_1", Source: "ampy-oms"},
	}
	e, err := Draft{Topic: "ampy.dev.orders.v1.requests", Message: order, Producer: "ampy-oms@oms-1"}.Envelope()
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Validate(); err != nil {
		t.Errorf("invalid: %v", err)
	}
	if h := e.Headers; h.PartitionKey != "co_1" || h.DedupeKey != "co_1" || h.Source != "ampy-oms" || h.RunID != "run_1" {
		t.Errorf("got %+v", h)
	}
	if _, err := Decode(e.Headers.SchemaFQDN, e.Payload); err != nil {
		t.Error(err)
	}
	if _, err := (SchemaGuard{Mode: Strict}).Check(e.Headers); err != nil {
		t.Error(err)
	}
}

func TestANamedKeyWinsAndCuresWhatAPayloadCannotSay(t *testing.T) {
	for name, d := range map[string]Draft{
		"named":      {Topic: "ampy.dev.orders.v1.requests", Message: &ordersv1.OrderRequest{ClientOrderId: "co_1"}},
		"incomplete": {Topic: "ampy.dev.orders.v1.requests", Message: &ordersv1.OrderRequest{}},
		"mixed": {Topic: "ampy.dev.fx.v1.rates", Message: &fxv1.FxRateBatch{Rates: []*fxv1.FxRate{
			{Pair: &fxv1.Pair{Base: "USD", Quote: "JPY"}}, {Pair: &fxv1.Pair{Base: "USD", Quote: "EUR"}},
		}}},
	} {
		d.PartitionKey = "mine"
		if e, err := d.Envelope(); err != nil || e.Headers.PartitionKey != "mine" {
			t.Errorf("%s: %q, %v", name, e.Headers.PartitionKey, err)
		}
	}
}

func TestANamedKeyDoesNotCureAForbiddenBatch(t *testing.T) {
	batch := &barsv1.BarBatch{Bars: []*barsv1.Bar{{Security: sec("A", "X")}, {Security: sec("B", "X")}}}
	d := Draft{Topic: "ampy.dev.bars.v1.X.A", Message: batch, PartitionKey: "X.A"}
	if _, err := d.Envelope(); !errors.Is(err, ErrBatch) {
		t.Errorf("got %v", err)
	}
}

func TestAFaultyPayloadMakesNoEnvelope(t *testing.T) {
	bar := &barsv1.Bar{Security: sec("A", "X"), Open: dec(1, 20)}
	var fault *ampybus.FieldError
	if _, err := Envelope("ampy.dev.bars.v1.X.A", bar, "p", "s"); !errors.As(err, &fault) || fault.Field != "payload" {
		t.Errorf("got %v", err)
	}
	if _, err := Envelope("ampy.dev.bars", bar, "p", "s"); !errors.As(err, &fault) || fault.Field != "topic" {
		t.Errorf("got %v", err)
	}
}

func TestTopicOf(t *testing.T) {
	got, err := TopicOf("paper", &barsv1.Bar{Security: sec("BRK.B", "XNYS")})
	if err != nil || got.String() != "ampy.paper.bars.v1.XNYS.BRK.B" {
		t.Errorf("got %s, %v", got, err)
	}
	if _, err := TopicOf("dev", &newsv1.NewsItem{Id: "1"}); !errors.Is(err, ErrIncomplete) {
		t.Errorf("got %v", err)
	}
}
