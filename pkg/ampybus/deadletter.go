package ampybus

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/AmpyFin/ampy-bus/internal/keyed"
	"github.com/AmpyFin/ampy-bus/internal/mutant"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// HeaderRawHeaders holds, in base64, headers of a dead letter that no broker
// header may hold: "name NUL value NUL" each.
const HeaderRawHeaders = "raw_headers"

// errNestedDeadLetter halts a consumer of dead letters that fails itself:
// burying a dead letter would hide it one level deeper each time.
var errNestedDeadLetter = errors.New("a consumer of dead letters failed; dead letters are not nested")

// bury stores the dead letter and only then lets the original be finished. As
// long as it is not stored the message stays, and holds its key.
func (e *engine) bury(l *lane, it *item, m *Message, reason string) keyed.Verdict {
	it.dead = reason
	if domainOf(m.Topic) == DomainDLQ {
		e.halt(fmt.Errorf("group %s: %s: %w (%s)", e.c.Group, m.Origin(), errNestedDeadLetter, reason))
		return keyed.Verdict{Outcome: keyed.Retry, Uncounted: true, After: time.Second}
	}
	at, err := e.store(l.ctx, it, m, reason)
	if err != nil && !mutant.On("ack-before-dlq") {
		if e.releasing(l) {
			return released()
		}
		e.notice(Notice{
			Kind: NoticeDLQBlocked, Lane: m.Lane, Key: it.key(), Err: err,
			Text: "the dead letter of " + m.Origin() + " cannot be stored; its key waits",
		})
		it.blocked++
		return keyed.Verdict{
			Outcome: keyed.Retry, Uncounted: true,
			After: infrastructureBackoff.Wait(it.blocked, globalRand{}),
		}
	}
	e.consumed(m, ResultDead, ReasonCode(reason), 0, errors.New(reason))
	if !e.parksDomain(domainOf(m.Topic)) {
		return keyed.Verdict{Outcome: keyed.Dead}
	}
	return keyed.Verdict{Outcome: keyed.Dead, Park: true, Cause: e.hold(it.key(), m, at)}
}

func (e *engine) parksDomain(domain string) bool {
	if e.c.OnDead != 0 {
		return e.c.OnDead == Park
	}
	policy := policyRow(domain)
	return policy != nil && policy.OnDead == Park
}

// halt ends Consume with err.
func (e *engine) halt(err error) {
	e.mu.Lock()
	if e.fault == nil {
		e.fault = err
	}
	e.mu.Unlock()
	e.quit()
}

// store publishes the dead letter, marks the message dead where the store of
// duplicates wants to know, and returns where the dead letter lies.
func (e *engine) store(ctx context.Context, it *item, m *Message, reason string) (at string, err error) {
	rec := deadRecord(m.Record, m, DLQInfo{
		Reason: reason, Topic: m.Topic, Group: e.c.Group, Attempts: it.runs,
		At: time.Now().UTC(), Origin: m.Origin(),
	})
	at, err = e.bus.forward(ctx, rec, m.Headers, false)
	if d, ok := e.c.Dedupe.(DeadMarker); ok && err == nil {
		err = d.MarkDead(ctx, m)
	}
	return at, err
}

// deadRecord makes the dead letter of a record: its bytes as they arrived,
// every header as it was, and why, where and when it was given up.
func deadRecord(rec driver.Record, m *Message, info DLQInfo) driver.Record {
	env, domain := cutPlace(m.Topic)
	topic := Topic{Env: env, Domain: DomainDLQ, Version: "v1", Subtopic: domain}.String()
	key := rec.Key
	if m.Headers.PartitionKey != "" {
		key = m.Headers.PartitionKey
	}
	kept, raw := keepHeaders(rec.Headers)
	hs := append(kept,
		driver.Header{Name: HeaderTopic, Value: topic},
		driver.Header{Name: HeaderDLQReason, Value: info.Reason},
		driver.Header{Name: HeaderDLQTopic, Value: headerText(info.Topic, MaxHeaderValue)},
		driver.Header{Name: HeaderDLQGroup, Value: info.Group},
		driver.Header{Name: HeaderDLQAttempts, Value: strconv.Itoa(info.Attempts)},
		driver.Header{Name: HeaderDLQAt, Value: info.At.Format(time.RFC3339Nano)},
		driver.Header{Name: HeaderDLQOrigin, Value: info.Origin},
	)
	if m.Headers.PayloadHash == "" {
		hs = append(hs, driver.Header{Name: HeaderPayloadHash, Value: hashOf(rec, m)})
	}
	if raw != "" {
		hs = append(hs, driver.Header{Name: HeaderRawHeaders, Value: raw})
	}
	return driver.Record{Topic: topic, Key: key, ID: deadID(m, info), Headers: hs, Value: rec.Value}
}

// deadID is the publish id of a dead letter: with the bare message_id a broker
// that dedupes would drop it as a repeat of the original. The origin keeps two
// records of one message_id apart.
func deadID(m *Message, info DLQInfo) string {
	if mutant.On("same-msgid-dlq") {
		return m.Headers.MessageID
	}
	return fmt.Sprintf("%s.dlq.%s.%d.%s", m.Headers.MessageID, info.Group, m.Headers.RetryCount, info.Origin)
}

// keepHeaders returns the headers that may stand as they are, and the others
// packed into one value.
func keepHeaders(hs []driver.Header) (kept []driver.Header, raw string) {
	var odd []byte
	for _, h := range hs {
		switch {
		case h.Name == HeaderTopic || strings.HasPrefix(h.Name, "dlq_"):
		case !legalHeader(h):
			odd = append(odd, h.Name...)
			odd = append(odd, 0)
			odd = append(odd, h.Value...)
			odd = append(odd, 0)
		default:
			kept = append(kept, h)
		}
	}
	if len(odd) == 0 {
		return kept, ""
	}
	return kept, base64.StdEncoding.EncodeToString(odd[:min(len(odd), maxRawHeaders)])
}

// maxRawHeaders keeps the block of a dead letter under what brokers accept.
const maxRawHeaders = 8 << 10

// hashOf is the hash of the uncompressed payload, or of the bytes as they are
// when they cannot be inflated.
func hashOf(rec driver.Record, m *Message) string {
	if m.Payload != nil || m.Headers.ContentEncoding == "" {
		return PayloadHash(firstOf(m.Payload, rec.Value))
	}
	plain, err := Decompress(m.Headers.ContentEncoding, rec.Value, InflateLimits{})
	if err != nil {
		return PayloadHash(rec.Value)
	}
	return PayloadHash(plain)
}

func firstOf(a, b []byte) []byte {
	if a != nil {
		return a
	}
	return b
}

// legalHeader reports that both brokers keep h unchanged.
func legalHeader(h driver.Header) bool {
	if h.Name == "" || len(h.Name)+len(h.Value) > MaxHeaderValue {
		return false
	}
	for i := range len(h.Name) {
		if c := h.Name[i]; c <= ' ' || c > '~' || c == ':' {
			return false
		}
	}
	for i := range len(h.Value) {
		if c := h.Value[i]; c < ' ' || c > '~' {
			return false
		}
	}
	return strings.TrimSpace(h.Value) == h.Value && !strings.HasPrefix(strings.ToLower(h.Name), "nats-")
}
