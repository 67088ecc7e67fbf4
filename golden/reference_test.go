package golden

import (
	"fmt"

	actionsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/corporate_actions/v1"
	fundamentalsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/fundamentals/v1"
	universev1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/universe/v1"
)

func fundamentalsSamples() []sample {
	start, end := day.AddDate(0, -5, -6), day.AddDate(0, -2, -7) // 2025-03-30, 2025-06-29
	line := func(key string, value int64, scale int32) *fundamentalsv1.LineItem {
		return &fundamentalsv1.LineItem{Key: key, Value: decimal(value, scale), CurrencyCode: "USD", PeriodStart: at(start), PeriodEnd: at(end)}
	}
	const producer = "tiingo-go@fund-ingest-1"
	lineage := meta("fund_082", "tiingo-go", "fund-ingest-1", "ampy.fundamentals.v1")
	year := line("eps_diluted_ttm", 659, 2)
	year.PeriodStart, year.PeriodEnd = at(start.AddDate(-1, 3, 0)), at(end.AddDate(0, 0, 1))
	return []sample{
		{
			path: "fundamentals/typical", note: "A quarter of three lines; the period's end and the source are part of the key.",
			topic: "ampy.prod.fundamentals.v1.XNAS.AAPL", producer: producer, run: "fund_082",
			message: &fundamentalsv1.FundamentalsSnapshot{
				Security: security("AAPL", "XNAS"), Source: "tiingo", AsOf: at(day.AddDate(0, -1, -4)), Meta: lineage,
				Lines: []*fundamentalsv1.LineItem{line("revenue", 9403600000000, 2), line("net_income", -2343400000000, 2), line("eps_basic", 157, 2)},
			},
		},
		{
			path: "fundamentals/minimal", note: "One line with an end of period, a source, and nothing else.",
			topic: "ampy.dev.fundamentals.v1.XNAS.AAPL", producer: producer,
			message: &fundamentalsv1.FundamentalsSnapshot{
				Security: security("AAPL", "XNAS"), Source: "tiingo", Lines: []*fundamentalsv1.LineItem{{PeriodEnd: at(end)}},
			},
		},
		{
			path: "fundamentals/mixed_periods", note: "A quarter beside twelve months: the latest end of a period is in the key. A restatement comes with a later as_of.",
			topic: "ampy.prod.fundamentals.v1.XNYS.BRK.B", producer: producer, run: "fund_082",
			message: &fundamentalsv1.FundamentalsBatch{Snapshots: []*fundamentalsv1.FundamentalsSnapshot{{
				Security: security("BRK.B", "XNYS"), Source: "tiingo", AsOf: at(clock(1, 2, 3, 4)), Meta: lineage,
				Lines: []*fundamentalsv1.LineItem{year, line("revenue", 0, 0)},
			}}},
		},
	}
}

func corporateActionSamples() []sample {
	lineage := meta("ca_77", "corp-actions-go", "ca-1", "ampy.corporate_actions.v1")
	const producer = "corp-actions-go@ca-1"
	split := &actionsv1.SplitAction{
		Security: security("TSLA", "XNAS"), RatioNumerator: 3, RatioDenominator: 1, ExDate: at(day.AddDate(0, 0, -21)), Meta: lineage,
	}
	dividend := &actionsv1.DividendAction{
		Security: security("KO", "XNYS"), CashAmount: money(5100, 4, "USD"), ExDate: at(day.AddDate(0, 0, 10)), PayDate: at(day.AddDate(0, 0, 26)), Meta: lineage,
	}
	return []sample{
		{
			path: "corporate_actions/typical", note: "A split of 3 for 1.",
			topic: "ampy.prod.corporate_actions.v1.XNAS.TSLA", producer: producer, run: "ca_77",
			message: &actionsv1.CorporateAction{Action: &actionsv1.CorporateAction_Split{Split: split}},
		},
		{
			path: "corporate_actions/minimal", note: "The type SplitAction itself, with a security only: no natural dedupe key.",
			topic: "ampy.dev.corporate_actions.v1.XNAS.TSLA", producer: producer,
			message: &actionsv1.SplitAction{Security: security("TSLA", "XNAS")},
		},
		{
			path: "corporate_actions/future_dividend", note: "A dividend whose ex-date lies ahead of produced_at; the amount in the dedupe key has no trailing zeros.",
			topic: "ampy.prod.corporate_actions.v1.XNYS.KO", producer: producer, run: "ca_77", message: dividend,
		},
		{
			path: "corporate_actions/batch", note: "Two actions of one security: a batch has no natural dedupe key.",
			topic: "ampy.prod.corporate_actions.v1.XNYS.KO", producer: producer, run: "ca_77",
			message: &actionsv1.CorporateActionBatch{Actions: []*actionsv1.CorporateAction{
				{Action: &actionsv1.CorporateAction_Dividend{Dividend: dividend}},
				{Action: &actionsv1.CorporateAction_Split{Split: &actionsv1.SplitAction{
					Security: security("KO", "XNYS"), RatioNumerator: 1, RatioDenominator: 10, ExDate: at(day),
				}}},
			}},
		},
	}
}

func universeSamples() []sample {
	lineage := meta("univ_991", "symbol-master", "universe-1", "ampy.universe.v1")
	const producer = "symbol-master@universe-1"
	members := func(n int) []*universev1.Constituent {
		list := make([]*universev1.Constituent, n)
		for i := range list {
			list[i] = &universev1.Constituent{Symbol: fmt.Sprintf("SYM%04d", i), Mic: []string{"XNAS", "XNYS", "ARCX"}[i%3], Figi: fmt.Sprintf("BBG%09d", i*7919)}
		}
		return list
	}
	return []sample{
		{
			path: "universe/typical", note: "Three constituents.",
			topic: "ampy.prod.universe.v1.nasdaq100_2025w36", producer: producer, run: "univ_991",
			message: &universev1.UniverseSnapshot{
				UniverseId: "nasdaq100_2025w36", AsOf: at(day.AddDate(0, 0, -4)),
				Ruleset: "index=NASDAQ100; country=US; min_price=5; min_dollar_vol=1e6", Meta: lineage,
				Constituents: []*universev1.Constituent{
					{Symbol: "AAPL", Mic: "XNAS", Figi: "BBG000B9XRY4", Isin: "US0378331005"},
					{Symbol: "MSFT", Mic: "XNAS"},
					{Symbol: "NVDA", Mic: "XNAS"},
				},
			},
		},
		{
			path: "universe/minimal", note: "An empty universe: an id and nothing else.",
			topic: "ampy.dev.universe.v1.empty", producer: producer, message: &universev1.UniverseSnapshot{UniverseId: "empty"},
		},
		{
			path: "universe/large", note: "A thousand constituents.",
			topic: "ampy.prod.universe.v1.us_all@2025-09-05", producer: producer, run: "univ_991",
			message: &universev1.UniverseSnapshot{UniverseId: "us_all@2025-09-05", AsOf: at(day), Constituents: members(1000), Meta: lineage},
		},
	}
}
