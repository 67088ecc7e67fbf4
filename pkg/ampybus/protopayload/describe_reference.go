package protopayload

import (
	"fmt"
	"time"

	actionsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/corporate_actions/v1"
	fundamentalsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/fundamentals/v1"
	universev1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/universe/v1"
	"google.golang.org/protobuf/proto"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

func describeFundamentals(f *finder, s *fundamentalsv1.FundamentalsSnapshot) Facts {
	symbol, mic := f.security(s.GetSecurity())
	end, lints := periodEnd(s.GetLines())
	key := ampybus.FundamentalsKey(symbol, mic, f.need("lines.period_end", end), f.need("source", s.GetSource()))
	return Facts{
		Subtopic:  ampybus.BarsKey(mic, symbol),
		Key:       key,
		DedupeKey: natural(key, stamp(s.GetAsOf())),
		EventTime: moment(s.GetAsOf()),
		AsOf:      moment(s.GetAsOf()),
		Lints:     lints,
	}
}

// periodEnd is the latest period_end of the lines. Lines may differ: a snapshot
// often holds the year beside the quarter.
func periodEnd(lines []*fundamentalsv1.LineItem) (end string, lints []string) {
	for _, line := range lines {
		day := date(line.GetPeriodEnd())
		if end != "" && day != end {
			lints = []string{"lines of several periods; the latest is in the key"}
		}
		end = max(end, day)
	}
	return end, lints
}

func describeAction(f *finder, m proto.Message) Facts {
	switch a := m.(type) {
	case *actionsv1.SplitAction:
		symbol, mic := f.security(a.GetSecurity())
		facts := action(symbol, mic, moment(a.GetExDate()))
		ratio := fmt.Sprintf("%d:%d", a.GetRatioNumerator(), a.GetRatioDenominator())
		facts.DedupeKey = natural("split", facts.Key, date(a.GetExDate()), ratio)
		return facts
	case *actionsv1.DividendAction:
		symbol, mic := f.security(a.GetSecurity())
		facts := action(symbol, mic, moment(a.GetExDate()))
		facts.DedupeKey = dividendKey(facts.Key, a)
		return facts
	}
	f.need(fmt.Sprintf("an action in %T", m), "")
	return Facts{}
}

func action(symbol, mic string, exDate time.Time) Facts {
	return Facts{
		Subtopic:  ampybus.BarsKey(mic, symbol),
		Key:       ampybus.SecurityKey(symbol, mic),
		EventTime: exDate,
	}
}

// dividendKey tells two dividends of one ex-date apart by pay date and amount; a
// pay date that is not known yet is written as "-".
func dividendKey(key string, a *actionsv1.DividendAction) string {
	pay := date(a.GetPayDate())
	if pay == "" {
		pay = "-"
	}
	cash := a.GetCashAmount()
	if natural(number(cash.GetAmount()), cash.GetCurrencyCode()) == "" {
		return ""
	}
	return natural("dividend", key, date(a.GetExDate()), pay, number(cash.GetAmount())+" "+cash.GetCurrencyCode())
}

func describeUniverse(f *finder, s *universev1.UniverseSnapshot) Facts {
	id := f.need("universe_id", s.GetUniverseId())
	return Facts{
		Subtopic:  id,
		Key:       ampybus.UniverseKey(id),
		DedupeKey: natural(id, stamp(s.GetAsOf())),
		EventTime: moment(s.GetAsOf()),
		AsOf:      moment(s.GetAsOf()),
	}
}
