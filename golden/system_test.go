package golden

import (
	"math"
	"testing"

	metricsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/metrics/v1"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	controlv1 "github.com/AmpyFin/ampy-bus/pkg/ampybus/control/v1"
)

func orderRejects() *metricsv1.Metric {
	return &metricsv1.Metric{
		Name: "oms.order_rejects", Labels: map[string]string{"broker": "alpaca", "env": "prod", "reason": "risk_check"},
		Value: 1, At: at(clock(19, 31, 5, 0)),
	}
}

func metricSamples() []sample {
	const topic = "ampy.prod.metrics.v1.ampy-oms"
	return []sample{
		{
			path: "metrics/typical", note: "A counter with three labels (specification §14.7); the service comes from the topic.",
			topic: topic, producer: orderSystem, run: liveRun, produced: clock(19, 31, 5, 0), message: orderRejects(),
		},
		{
			path: "metrics/minimal", note: "A name and nothing else: the value is zero.",
			topic: "ampy.dev.metrics.v1.ampy-oms", producer: orderSystem, message: &metricsv1.Metric{Name: "up"},
		},
		{
			path: "metrics/prefix_labels", note: "Labels of which one begins another, and an empty one: sorted by their bytes in every language.",
			topic: topic, producer: orderSystem, run: liveRun,
			message: &metricsv1.Metric{
				Name: "oms.latency_ms", Value: math.SmallestNonzeroFloat64, At: at(clock(19, 31, 5, 0)),
				Labels: map[string]string{"reason_code": "7", "reason": "risk_check", "": "unnamed", "rea": "", "reason_": "é", "Reason": "upper"},
			},
		},
		{
			path: "metrics/batch", note: "Two metrics of one service: the producer names the key. One value is infinite.",
			topic: topic, producer: orderSystem, run: liveRun, key: "ampy-oms|all",
			message: &metricsv1.MetricBatch{Metrics: []*metricsv1.Metric{
				orderRejects(), {Name: "oms.queue_limit", Value: math.Inf(1), At: at(clock(19, 31, 5, 0))},
			}},
		},
	}
}

const requestID = "018f5e36-2c11-7d02-8a55-6f0c3f1f7b10"

func replayWindow() *controlv1.ReplayRequest {
	return &controlv1.ReplayRequest{
		RequestId: requestID,
		Scope: &controlv1.ReplayScope{Scope: &controlv1.ReplayScope_Topic{Topic: &controlv1.TopicScope{
			Env: "prod", Domain: "bars", Version: "v1", Subtopic: "XNAS.AAPL",
		}}},
		Window:    &controlv1.TimeWindow{Start: at(clock(9, 30, 0, 0)), End: at(clock(16, 0, 0, 0))},
		TimeBasis: controlv1.ReplayTimeBasis_REPLAY_TIME_BASIS_STORED_AT, MaxMessages: 100_000, MaxRatePerSecond: 5_000,
		Reason: "backtest-2025-09-05", Requester: "ops-tooling@cli-1", RequestedAt: at(clock(19, 40, 0, 0)),
		Meta: meta("ops_7", "ops-tooling", "cli-1", "ampy.control.v1"),
	}
}

func controlSamples() []sample {
	const producer = "ops-tooling@cli-1"
	return []sample{
		{
			path: "control/typical", note: "A request to replay a window of bars.",
			topic: "ampy.prod.control.v1.replay_requests", producer: producer, run: "ops_7", produced: clock(19, 40, 0, 0), message: replayWindow(),
		},
		{
			path: "control/minimal", note: "A request for everything under a subject.",
			topic: "ampy.dev.control.v1.replay_requests", producer: producer,
			message: &controlv1.ReplayRequest{
				RequestId: requestID, Scope: &controlv1.ReplayScope{Scope: &controlv1.ReplayScope_Subject{Subject: "ampy.dev.ticks.v1.trade.>"}},
				Window: &controlv1.TimeWindow{Start: at(day)},
			},
		},
		{
			path: "control/key_scoped", note: "A request for one order's fills, one position, and one key of any domain; counted only.",
			topic: "ampy.prod.control.v1.replay_requests", producer: producer, run: "ops_7",
			message: &controlv1.ReplayRequest{
				RequestId: requestID,
				Scope:     &controlv1.ReplayScope{Scope: &controlv1.ReplayScope_Topic{Topic: &controlv1.TopicScope{Env: "prod", Domain: "fills", Version: "v1"}}},
				Keys: []*controlv1.ReplayKey{
					{Key: &controlv1.ReplayKey_Order{Order: &controlv1.OrderKey{AccountId: account, ClientOrderId: orderID}}},
					{Key: &controlv1.ReplayKey_Position{Position: &controlv1.PositionKey{AccountId: account, Security: security("BRK.B", "XNYS")}}},
					{Key: &controlv1.ReplayKey_PartitionKey{PartitionKey: account + "|" + orderID}},
				},
				DryRun: true, Reason: "fills-reconciliation-2025-09", Requester: "ops-tooling@cli-1", RequestedAt: at(clock(19, 41, 0, 0)),
			},
		},
		{
			path: "control/status", note: "The answer to a request: half done.",
			topic: "ampy.prod.control.v1.replay_status", producer: "ampy-replayer@rep-1", run: "ops_7",
			message: &controlv1.ReplayStatus{
				RequestId: requestID, State: controlv1.ReplayState_REPLAY_STATE_RUNNING, Responder: "ampy-replayer@rep-1",
				Matched: 780, Published: 390, Skipped: 2, Watermark: at(clock(12, 45, 0, 0)), AsOf: at(clock(19, 40, 2, 0)),
			},
		},
		{
			path: "control/settlement", note: "A dead letter was published again.",
			topic: "ampy.prod.control.v1.dlq_settlements", producer: producer, run: "ops_7",
			message: &controlv1.DeadLetterSettlement{
				Origin: "AMPY_PROD_DLQ:17", MessageId: "018f5e2f-9b1c-76aa-8f7a-3b1d8f3ea0c2", Outcome: controlv1.SettlementOutcome_SETTLEMENT_OUTCOME_REDRIVEN,
				Reason: "scale fixed in yfinance-go 1.4.2", Requester: "ops-tooling@cli-1", Target: "ampy.prod.bars.v1.XNAS.AAPL",
				ConsumerGroup: "ampy-features", PartitionKey: "XNAS.AAPL", Attempt: 1, SettledAt: at(clock(20, 0, 0, 0)),
			},
		},
	}
}

// dead makes the dead letter of an envelope, as the bus does: its bytes and
// headers as they were, and why, where and when it was given up.
func dead(reason, group string, attempts int, origin string) func(*testing.T, *ampybus.Envelope) {
	return func(t *testing.T, e *ampybus.Envelope) {
		t.Helper()
		topic, err := ampybus.ParseTopic(e.Topic)
		if err != nil {
			t.Fatal(err)
		}
		e.Headers.DLQ = ampybus.DLQInfo{
			Reason: reason, Topic: e.Topic, Group: group, Attempts: attempts, At: e.Headers.ProducedAt.Add(1_500_000_000), Origin: origin,
		}
		e.Headers.PayloadHash = ampybus.PayloadHash(e.Payload)
		e.Topic = topic.DLQ().String()
		e.Headers.Topic = e.Topic
	}
}
