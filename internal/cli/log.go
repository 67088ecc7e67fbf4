package cli

import (
	"context"
	"io"
	"log/slog"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// newLogger logs to stderr as JSON, which no value can break out of.
func newLogger(w io.Writer, level logLevel) *slog.Logger {
	if level == "" {
		level = "warn"
	}
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level.slog()}))
}

// logObserver logs what the bus does, without payloads (specification §11).
type logObserver struct{ log *slog.Logger }

// Published implements ampybus.Observer.
func (l logObserver) Published(e ampybus.PublishEvent) {
	if !l.log.Enabled(context.Background(), slog.LevelDebug) {
		return // before anything is made for the line
	}
	args := []any{
		"message_id", e.MessageID, "topic", e.Topic, "producer", e.Producer,
		"bytes", e.Bytes, "attempts", e.Attempts, "duplicate", e.Duplicate, "latency_ms", e.Took.Milliseconds(),
	}
	if e.Err != nil {
		args = append(args, "err", e.Err.Error())
	}
	l.log.Debug("published", args...)
}

// Consumed implements ampybus.Observer.
func (l logObserver) Consumed(e ampybus.ConsumeEvent) {
	level := slog.LevelDebug
	if e.Result == ampybus.ResultDead {
		level = slog.LevelWarn
	}
	if !l.log.Enabled(context.Background(), level) {
		return
	}
	args := []any{
		"message_id", e.Message.Headers.MessageID, "trace_id", e.Message.Headers.Trace.TraceIDString(),
		"topic", e.Message.Topic, "consumer", e.Group, "result", string(e.Result), "latency_ms", e.Latency.Milliseconds(),
	}
	if e.Err != nil {
		args = append(args, "reason", e.Reason, "err", e.Err.Error())
	}
	l.log.Log(context.Background(), level, "consumed", args...)
}

// Noticed implements ampybus.Observer.
func (l logObserver) Noticed(n ampybus.Notice) {
	args := []any{"kind", string(n.Kind), "consumer", n.Group, "lane", n.Lane, "partition_key", n.Key}
	level := slog.LevelInfo
	if n.Err != nil {
		level = slog.LevelWarn
		args = append(args, "err", n.Err.Error())
	}
	l.log.Log(context.Background(), level, n.Text, args...)
}
