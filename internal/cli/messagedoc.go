package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/AmpyFin/ampy-bus/internal/terminal"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/protopayload"
)

// messageDoc is a message as JSON, with the names of a fixture where it has
// the same things.
type messageDoc struct {
	Topic   string            `json:"topic"`
	Headers map[string]string `json:"headers"`
	// Repeated holds further values of headers that are there several times.
	Repeated [][2]string `json:"repeated_headers,omitempty"`
	// One of these is set; none for an empty payload.
	PayloadJSON   json.RawMessage `json:"payload_json,omitempty"`
	PayloadBase64 []byte          `json:"payload_base64,omitempty"`
	PayloadBytes  int             `json:"payload_bytes"`
	Log           string          `json:"log,omitempty"`
	Position      uint64          `json:"position,omitempty"`
	StoredAt      *time.Time      `json:"stored_at,omitempty"`
	Lints         []string        `json:"lints,omitempty"`
	// Error says why the message breaks the contract, DecodeError why its
	// payload does not decode.
	Error       string `json:"error,omitempty"`
	DecodeError string `json:"decode_error,omitempty"`
}

func newMessageDoc(m *ampybus.Message, fault error, decode bool) messageDoc {
	d := messageDoc{
		Topic: m.Topic, Log: m.Log, Position: m.Pos, StoredAt: &m.StoredAt, Lints: m.Lints,
	}
	d.headers(m.Record.Headers)
	if fault != nil {
		d.Error = fault.Error()
	}
	d.payload(m.Headers.SchemaFQDN, payloadOf(m), decode && fault == nil)
	return d
}

// payloadOf is the payload, or the bytes as stored where it cannot be read.
func payloadOf(m *ampybus.Message) []byte {
	if m.Payload != nil {
		return m.Payload
	}
	return m.Record.Value
}

func (d *messageDoc) headers(hs []driver.Header) {
	d.Headers = make(map[string]string, len(hs))
	for _, h := range hs {
		if _, ok := d.Headers[h.Name]; ok {
			d.Repeated = append(d.Repeated, [2]string{h.Name, h.Value})
			continue
		}
		d.Headers[h.Name] = h.Value
	}
}

func (d *messageDoc) payload(schema string, payload []byte, decode bool) {
	d.PayloadBytes = len(payload)
	if decode {
		text, err := decodeJSON(schema, payload)
		if err == nil {
			d.PayloadJSON = text
			return
		}
		d.DecodeError = err.Error()
	}
	d.PayloadBase64 = payload
}

// decodeJSON is a payload as protojson.
func decodeJSON(schema string, payload []byte) ([]byte, error) {
	m, err := protopayload.Decode(schema, payload)
	if err != nil {
		return nil, err
	}
	return protopayload.ToJSON(m)
}

// printJSON prints v as one line.
func (a *app) printJSON(v any) error {
	line, err := jsonLine(v)
	if err != nil {
		return err
	}
	_, err = io.WriteString(a.out, terminal.EscapeText(line))
	return err
}

// jsonLine is v as one line, with < and & as they are: lines are for people too.
func jsonLine(v any) (string, error) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return "", fmt.Errorf("print JSON: %w", err)
	}
	return b.String(), nil
}

// printEnvelope prints what would be published.
func (a *app) printEnvelope(e ampybus.Envelope) error {
	if err := e.Validate(); err != nil {
		return err
	}
	for _, lint := range e.Lint() {
		a.warn("%s", lint)
	}
	d := messageDoc{Topic: e.Topic}
	d.headers(ampybus.EncodeHeaders(e.Headers))
	d.payload(e.Headers.SchemaFQDN, e.Payload, true)
	if a.output == formatJSON {
		return a.printJSON(d)
	}
	fmt.Fprintf(a.out, "topic: %s\n", terminal.Escape(e.Topic))
	a.printHeaders("", ampybus.EncodeHeaders(e.Headers))
	a.printPayload("", d)
	return nil
}

// printHeaders prints one header a line.
func (a *app) printHeaders(indent string, hs []driver.Header) {
	for _, h := range hs {
		fmt.Fprintf(a.out, "%s%s: %s\n", indent, terminal.Escape(h.Name), terminal.Escape(h.Value))
	}
}

// printPayload prints a decoded payload, or why it does not decode.
func (a *app) printPayload(indent string, d messageDoc) {
	switch {
	case d.DecodeError != "":
		fmt.Fprintf(a.out, "%sdecode error: %s\n", indent, terminal.Escape(d.DecodeError))
	case d.PayloadJSON != nil:
		fmt.Fprintf(a.out, "%s%s\n", indent, terminal.EscapeText(indentLines(string(d.PayloadJSON), indent)))
	}
}
