package ampybus

import "time"

const (
	day = 24 * time.Hour

	// shortRetention is the least that specification §10 allows for live logs.
	shortRetention = 7 * day
	// longRetention is for slow domains, where it costs little.
	longRetention = 30 * day
	// complianceRetention is for what an audit reconstructs a session from, and
	// for dead letters and their settlements, which say what became of it.
	// Regulators ask for years: that is an archive's job, not a log's.
	complianceRetention = 90 * day

	// A Critical publish outlasts a broker's failover (measured: up to 7.4 s
	// without an acknowledgement); its outcome is known soon after.
	criticalCeiling = 10 * time.Second
	standardCeiling = 15 * time.Second
	bulkCeiling     = time.Minute

	// tickWindow is as short as standardCeiling allows: at 100,000 ticks per
	// second a minute of ids already takes 1.5 GB of broker memory.
	tickWindow = 30 * time.Second
	// usualWindow is JetStream's own default.
	usualWindow = 2 * time.Minute
	// longWindow is for rare records, where a late repeat hurts most.
	longWindow = 10 * time.Minute
)

// The retry budgets of a consumer, per class. Held back meanwhile: the key.
var (
	criticalRetry = Retry{Attempts: 5, Elapsed: 2 * time.Second, Base: 50 * time.Millisecond, Cap: time.Second}
	standardRetry = Retry{Attempts: 8, Elapsed: 30 * time.Second, Base: 100 * time.Millisecond, Cap: 10 * time.Second}
	bulkRetry     = Retry{Attempts: 10, Elapsed: 5 * time.Minute, Base: 500 * time.Millisecond, Cap: time.Minute}
)

// policies is the table. A test fails when a domain lacks its row; everything
// that differs between domains is a column here, never an if elsewhere.
var policies = [...]Policy{
	{
		Domain: DomainBars, Version: "v1",
		DefaultSchema: "ampy.bars.v1.BarBatch",
		Schemas:       []string{"ampy.bars.v1.BarBatch", "ampy.bars.v1.Bar"},
		Subtopic:      "{mic}.{symbol}", PartitionKey: "{security.mic}.{security.symbol}", KeyShape: KeyIsSubtopic,
		EventTime: "event_time", AsOf: "as_of", IngestTime: "ingest_time",
		SinkKey: "{pk}|start|end|adjusted|adjustment_policy|meta.source, version as_of",
		Batch:   "same key required",
		Class:   Standard, PublishCeiling: standardCeiling, Retry: standardRetry, OnDead: Skip,
		Retention: shortRetention, DedupeWindow: usualWindow, Replicas: 3, CompressOver: CompressOver,
		LatencyTarget: 150 * time.Millisecond,
	},
	{
		Domain: DomainTicks, Version: "v1",
		DefaultSchema:    "ampy.ticks.v1.TradeTick",
		SchemaBySubtopic: map[string]string{"trade": "ampy.ticks.v1.TradeTick", "quote": "ampy.ticks.v1.QuoteTick"},
		Schemas: []string{
			"ampy.ticks.v1.TradeTick", "ampy.ticks.v1.QuoteTick", "ampy.ticks.v1.Tick", "ampy.ticks.v1.TickBatch",
		},
		Subtopic: "trade.{symbol} | quote.{symbol}", PartitionKey: "{security.symbol}.{security.mic}", KeyShape: KeySecurityOfKind,
		EventTime: "event_time", IngestTime: "ingest_time",
		SinkKey: "quote: {pk}|venue; trade: none (no trade id)",
		Batch:   "same key and same kind as the subtopic required",
		Class:   Standard, PublishCeiling: standardCeiling, Retry: standardRetry, OnDead: Skip,
		Retention: shortRetention, DedupeWindow: tickWindow, Replicas: 3, CompressOver: CompressOver,
		LatencyTarget: 150 * time.Millisecond,
	},
	{
		Domain: DomainFundamentals, Version: "v1",
		DefaultSchema: "ampy.fundamentals.v1.FundamentalsSnapshot",
		Schemas:       []string{"ampy.fundamentals.v1.FundamentalsSnapshot", "ampy.fundamentals.v1.FundamentalsBatch"},
		Subtopic:      "{mic}.{symbol}", PartitionKey: "{symbol}.{mic}|{max lines.period_end as YYYY-MM-DD}|{source}", KeyShape: KeySecurity,
		EventTime: "as_of", AsOf: "as_of",
		DedupeKey: "{pk}|{as_of}", SinkKey: "{pk}, version as_of", Batch: "same key required",
		Class: Bulk, PublishCeiling: bulkCeiling, Retry: bulkRetry, OnDead: Skip,
		Retention: longRetention, DedupeWindow: longWindow, Replicas: 3, CompressOver: CompressOver,
	},
	{
		Domain: DomainNews, Version: "v1",
		DefaultSchema: "ampy.news.v1.NewsItem",
		Schemas:       []string{"ampy.news.v1.NewsItem", "ampy.news.v1.NewsBatch"},
		Subtopic:      "raw | nlp", PartitionKey: "{id}",
		EventTime: "published_at", IngestTime: "ingest_time",
		DedupeKey: "{id} (per topic: raw and nlp share ids)", SinkKey: "{id}", WantsDedupeKey: true,
		Batch: "one item, or explicit partition_key and no dedupe_key",
		Class: Bulk, PublishCeiling: bulkCeiling, Retry: bulkRetry, OnDead: Skip,
		Retention: shortRetention, DedupeWindow: longWindow, Replicas: 3, CompressOver: CompressOver,
	},
	{
		Domain: DomainFX, Version: "v1",
		DefaultSchema: "ampy.fx.v1.FxRate",
		Schemas:       []string{"ampy.fx.v1.FxRate", "ampy.fx.v1.FxRateBatch"},
		Subtopic:      "rates | {base}.{quote}", PartitionKey: "{pair.base}.{pair.quote}", KeyShape: KeyIsPair,
		EventTime: "as_of", AsOf: "as_of",
		DedupeKey: "{pk}|{meta.source}|{as_of}", SinkKey: "{pk}|{meta.source}, version as_of",
		Batch: "mixed pairs only on rates with explicit partition_key",
		Class: Standard, PublishCeiling: standardCeiling, Retry: standardRetry, OnDead: Skip,
		Retention: shortRetention, DedupeWindow: usualWindow, Replicas: 3, CompressOver: CompressOver,
	},
	{
		Domain: DomainCorporateActions, Version: "v1",
		DefaultSchema: "ampy.corporate_actions.v1.CorporateAction",
		Schemas: []string{
			"ampy.corporate_actions.v1.CorporateAction", "ampy.corporate_actions.v1.SplitAction",
			"ampy.corporate_actions.v1.DividendAction", "ampy.corporate_actions.v1.CorporateActionBatch",
		},
		Subtopic: "{mic}.{symbol}", PartitionKey: "{symbol}.{mic}", KeyShape: KeySecurity,
		EventTime: "ex_date (may be in the future)",
		DedupeKey: "split|{pk}|{ex_date}|{num}:{den}; dividend|{pk}|{ex_date}|{pay_date}|{amount} {currency}",
		SinkKey:   "split|{pk}|{ex_date}; dividend|{pk}|{ex_date}|{currency}",
		Batch:     "same key required",
		Class:     Bulk, PublishCeiling: bulkCeiling, Retry: bulkRetry, OnDead: Skip,
		Retention: longRetention, DedupeWindow: longWindow, Replicas: 3, CompressOver: CompressOver,
	},
	{
		Domain: DomainUniverse, Version: "v1",
		DefaultSchema: "ampy.universe.v1.UniverseSnapshot",
		Schemas:       []string{"ampy.universe.v1.UniverseSnapshot", "ampy.universe.v1.UniverseBatch"},
		Subtopic:      "{universe_id}", PartitionKey: "{universe_id}", KeyShape: KeySame,
		EventTime: "as_of", AsOf: "as_of",
		DedupeKey: "{universe_id}|{as_of}", SinkKey: "{universe_id}, version as_of", Batch: "same key required",
		Class: Bulk, PublishCeiling: bulkCeiling, Retry: bulkRetry, OnDead: Skip,
		Retention: longRetention, DedupeWindow: longWindow, Replicas: 3, CompressOver: CompressOver,
	},
	{
		Domain: DomainSignals, Version: "v1",
		DefaultSchema: "ampy.signals.v1.Signal",
		Schemas:       []string{"ampy.signals.v1.Signal", "ampy.signals.v1.SignalBatch"},
		Subtopic:      "{model_id}", PartitionKey: "{model_id}|{symbol}.{mic}|{horizon}", KeyShape: KeyUnderSubtopic,
		EventTime: "generated_at", ExpiresAt: "expires_at",
		DedupeKey: "{model_id}|{symbol}.{mic}|{horizon}|{type}|{generated_at}",
		SinkKey:   "{model_id}|{symbol}.{mic}|{horizon}|{type}",
		Batch:     "same model_id required (topic); mixed securities need explicit partition_key",
		Class:     Critical, PublishCeiling: criticalCeiling, Retry: criticalRetry, OnDead: Skip,
		Retention: longRetention, DedupeWindow: usualWindow, Replicas: 3, CompressOver: CompressOver,
		AlwaysHash: true, LatencyTarget: 50 * time.Millisecond, ModelKeys: true,
	},
	{
		Domain: DomainOrders, Version: "v1",
		DefaultSchema: "ampy.orders.v1.OrderRequest",
		Schemas:       []string{"ampy.orders.v1.OrderRequest", "ampy.orders.v1.OrderRequestBatch"},
		Subtopic:      "requests", PartitionKey: "{client_order_id}",
		EventTime: "created_at",
		DedupeKey: "{client_order_id} for a submit", WantsDedupeKey: true, SinkKey: "{account_id}|{client_order_id}", Batch: "one order only",
		Class: Critical, PublishCeiling: criticalCeiling, Retry: criticalRetry, OnDead: Park,
		Retention: complianceRetention, DedupeWindow: longWindow, Replicas: 3, CompressOver: CompressOver,
		AlwaysHash: true, LatencyTarget: 50 * time.Millisecond,
	},
	{
		Domain: DomainFills, Version: "v1",
		DefaultSchema: "ampy.fills.v1.FillEvent",
		Schemas:       []string{"ampy.fills.v1.FillEvent", "ampy.fills.v1.FillBatch"},
		Aliases:       map[string]string{aliasFill: "ampy.fills.v1.FillEvent"},
		Subtopic:      "events", PartitionKey: "{account_id}|{client_order_id}", KeyShape: KeyOfAccount,
		EventTime: "event_time",
		DedupeKey: "broker execution id set by the producer; never derived", SinkKey: "none (no execution id)",
		Batch: "same key required",
		Class: Critical, PublishCeiling: criticalCeiling, Retry: criticalRetry, OnDead: Park,
		Retention: complianceRetention, DedupeWindow: longWindow, Replicas: 3, CompressOver: CompressOver,
		AlwaysHash: true, LatencyTarget: 50 * time.Millisecond,
	},
	{
		Domain: DomainPositions, Version: "v1",
		DefaultSchema: "ampy.positions.v1.PositionSnapshot",
		Schemas:       []string{"ampy.positions.v1.PositionSnapshot", "ampy.positions.v1.PositionBatch"},
		Aliases:       map[string]string{aliasPosition: "ampy.positions.v1.PositionSnapshot"},
		Subtopic:      "snapshots", PartitionKey: "{account_id}|{symbol}.{mic}", KeyShape: KeyOfAccount,
		EventTime: "as_of", AsOf: "as_of",
		DedupeKey: "{pk}|{as_of}", SinkKey: "{pk}, version as_of", Batch: "same key required",
		Class: Critical, PublishCeiling: criticalCeiling, Retry: criticalRetry, OnDead: Park,
		Retention: complianceRetention, DedupeWindow: longWindow, Replicas: 3, CompressOver: CompressOver,
		AlwaysHash: true,
	},
	{
		Domain: DomainMetrics, Version: "v1",
		DefaultSchema: "ampy.metrics.v1.Metric",
		Schemas:       []string{"ampy.metrics.v1.Metric", "ampy.metrics.v1.MetricBatch"},
		Subtopic:      "{service}", PartitionKey: "{service from topic}|{name}", KeyShape: KeyUnderSubtopic,
		EventTime: "at", Batch: "mixed names need explicit partition_key",
		Class: Bulk, PublishCeiling: bulkCeiling, Retry: bulkRetry, OnDead: Skip,
		Retention: shortRetention, DedupeWindow: usualWindow, Replicas: 3, CompressOver: CompressOver,
	},
	{
		Domain: DomainDLQ, Version: "v1",
		Subtopic: "{original domain}", PartitionKey: "from the original headers",
		DedupeKey: "from the original headers",
		Class:     Critical, PublishCeiling: criticalCeiling, Retry: bulkRetry, OnDead: Skip,
		Retention: complianceRetention, DedupeWindow: longWindow, Replicas: 3, CompressOver: CompressOver,
		AlwaysHash: true, Infrastructure: true,
	},
	{
		Domain: DomainControl, Version: "v1",
		DefaultSchema: "ampy.control.v1.ReplayRequest",
		SchemaBySubtopic: map[string]string{
			"replay_requests": "ampy.control.v1.ReplayRequest", "replay_status": "ampy.control.v1.ReplayStatus",
			settlementSubtopic: settlementSchema,
		},
		Schemas:      []string{"ampy.control.v1.ReplayRequest", "ampy.control.v1.ReplayStatus", settlementSchema},
		Subtopic:     "replay_requests | replay_status | dlq_settlements",
		PartitionKey: "request: {domain}|{subtopic or *} or subject; status: {request_id}; settlement: {origin}",
		EventTime:    "requested_at; status: as_of", DedupeKey: "{request_id}; status: none",
		Class: Critical, PublishCeiling: criticalCeiling, Retry: criticalRetry, OnDead: Skip,
		Retention: complianceRetention, DedupeWindow: longWindow, Replicas: 3, CompressOver: CompressOver,
		AlwaysHash: true,
	},
}

const (
	aliasFill     = "ampy.fills.v1.Fill"
	aliasPosition = "ampy.positions.v1.Position"
)

// CanonicalSchema resolves the two names that the specification uses for types
// that are called otherwise (Fill, Position); any other name is returned as it is.
func CanonicalSchema(fqdn string) string {
	switch fqdn {
	case aliasFill:
		return "ampy.fills.v1.FillEvent"
	case aliasPosition:
		return "ampy.positions.v1.PositionSnapshot"
	}
	return fqdn
}
