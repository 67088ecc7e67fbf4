package protopayload

import (
	"fmt"

	barsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/bars/v1"
	commonv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/common/v1"
	fxv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/fx/v1"
	newsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/news/v1"
	ticksv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/ticks/v1"
	"google.golang.org/protobuf/proto"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// ratesSubtopic is the fx topic of all pairs (specification §5).
const ratesSubtopic = "rates"

// security is what every key of a security needs.
func (f *finder) security(s *commonv1.SecurityId) (symbol, mic string) {
	return f.need("security.symbol", s.GetSymbol()), f.need("security.mic", s.GetMic())
}

func describeBar(f *finder, b *barsv1.Bar) Facts {
	symbol, mic := f.security(b.GetSecurity())
	return Facts{
		Subtopic:   ampybus.BarsKey(mic, symbol),
		Key:        ampybus.BarsKey(mic, symbol),
		EventTime:  moment(b.GetEventTime()),
		AsOf:       moment(b.GetAsOf()),
		IngestTime: moment(b.GetIngestTime()),
	}
}

func describeTick(f *finder, m proto.Message) Facts {
	switch t := m.(type) {
	case *ticksv1.TradeTick:
		symbol, mic := f.security(t.GetSecurity())
		return Facts{
			Subtopic:   ampybus.TradeSubtopic(symbol),
			Key:        ampybus.SecurityKey(symbol, mic),
			EventTime:  moment(t.GetEventTime()),
			IngestTime: moment(t.GetIngestTime()),
			kind:       "trade",
		}
	case *ticksv1.QuoteTick:
		symbol, mic := f.security(t.GetSecurity())
		return Facts{
			Subtopic:   ampybus.QuoteSubtopic(symbol),
			Key:        ampybus.SecurityKey(symbol, mic),
			EventTime:  moment(t.GetEventTime()),
			IngestTime: moment(t.GetIngestTime()),
			kind:       "quote",
		}
	}
	f.need(fmt.Sprintf("a tick in %T", m), "")
	return Facts{}
}

func describeRate(f *finder, r *fxv1.FxRate) Facts {
	base, quote := f.need("pair.base", r.GetPair().GetBase()), f.need("pair.quote", r.GetPair().GetQuote())
	key := ampybus.FXKey(base, quote)
	subtopic := key
	if f.topic.Subtopic == ratesSubtopic {
		subtopic = ratesSubtopic
	}
	return Facts{
		Subtopic:  subtopic,
		Key:       key,
		DedupeKey: natural(key, r.GetMeta().GetSource(), stamp(r.GetAsOf())),
		EventTime: moment(r.GetAsOf()),
		AsOf:      moment(r.GetAsOf()),
	}
}

func describeNews(f *finder, n *newsv1.NewsItem) Facts {
	id := f.need("id", n.GetId())
	return Facts{
		Key:        ampybus.NewsKey(id),
		DedupeKey:  id,
		EventTime:  moment(n.GetPublishedAt()),
		IngestTime: moment(n.GetIngestTime()),
	}
}
