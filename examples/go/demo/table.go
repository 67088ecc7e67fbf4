package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/AmpyFin/ampy-bus/examples/go/monitor"
	"github.com/AmpyFin/ampy-bus/examples/go/service"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// table shows what happened, by domain. Counts of records are those of the
// broker's logs, the others are what the services reported as metrics.v1.
func (e *Evidence) table(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(w, "domain\tpublished\tconsumed\tretried\tdead-lettered\tredriven\tduplicates\tp50\tp99\ttarget p99\t\t")
	for _, domain := range []string{
		ampybus.DomainBars, ampybus.DomainSignals, ampybus.DomainOrders, ampybus.DomainFills,
		ampybus.DomainPositions, ampybus.DomainMetrics, ampybus.DomainDLQ,
	} {
		e.row(w, domain)
	}
	_ = w.Flush()
	_, _ = fmt.Fprintln(out, `published: records stored; consumed: applied, by all groups; duplicates: dropped by the broker or by a consumer.
Latency in ms is from produced_at to the handler, of live traffic, of the slowest group (specification §13): a restarted
service is live again when it has caught up, and what was redriven is not measured. The killed instance took the counts
of its last moments along.`)
}

func (e *Evidence) row(w io.Writer, domain string) {
	consumed := func(r ampybus.Result) int {
		return int(e.Metrics.Sum(service.MetricConsumed, monitor.Labels{Domain: domain, Result: string(r)}))
	}
	_, _ = fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%s\t\n", domain, e.Records[domain],
		consumed(ampybus.ResultOK), consumed(ampybus.ResultRetry), consumed(ampybus.ResultDead),
		e.Redriven[domain], e.duplicates(domain), e.latency(domain))
}

// duplicates were dropped by the broker, or by a consumer.
func (e *Evidence) duplicates(domain string) int {
	return int(e.Metrics.Sum(service.MetricProduced, monitor.Labels{Domain: domain, Result: "duplicate"}) +
		e.Metrics.Sum(service.MetricConsumed, monitor.Labels{Domain: domain, Result: string(ampybus.ResultDuplicate)}))
}

// latency is the last four columns.
func (e *Evidence) latency(domain string) string {
	quantile := func(q string) float64 {
		return e.Metrics.Max(service.MetricLatency, monitor.Labels{Domain: domain, Quantile: q})
	}
	p50, p99 := quantile("0.5"), quantile("0.99")
	if p99 == 0 {
		return "-\t-\t-\t"
	}
	policy, _ := ampybus.PolicyFor(domain)
	if policy.LatencyTarget == 0 {
		return fmt.Sprintf("%.2f\t%.2f\t-\t", p50, p99)
	}
	target := float64(policy.LatencyTarget) / float64(time.Millisecond)
	verdict := "ok"
	if p99 > target {
		verdict = "missed"
	}
	return fmt.Sprintf("%.2f\t%.2f\t%.0f\t%s", p50, p99, target, verdict)
}
