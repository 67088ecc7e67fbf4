package protopayload

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// ToJSON writes m as protojson for people, indented by two spaces. The same
// message gives the same bytes, which protojson itself does not promise. JSON is
// for inspection; on the bus payloads are binary (specification §4).
func ToJSON(m proto.Message) ([]byte, error) {
	loose, err := protojson.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode %s as JSON: %s", FQDN(m), plain(err))
	}
	var b bytes.Buffer
	if err := json.Indent(&b, loose, "", "  "); err != nil {
		return nil, fmt.Errorf("encode %s as JSON: %w", FQDN(m), err)
	}
	return b.Bytes(), nil
}

// FromJSON reads protojson of the type that fqdn names; field names may be in
// either spelling (event_time, eventTime). It refuses unknown fields, duplicate
// keys and what Check refuses. An unknown name gives an error that wraps
// ErrUnknownSchema, every other fault a *ampybus.FieldError for "payload".
func FromJSON(fqdn string, b []byte) (proto.Message, error) {
	m, err := New(fqdn)
	if err != nil {
		return nil, err
	}
	if !utf8.Valid(b) {
		return nil, badJSON(m, "not UTF-8")
	}
	if err := (protojson.UnmarshalOptions{RecursionLimit: maxDepth}).Unmarshal(b, m); err != nil {
		return nil, badJSON(m, plain(err))
	}
	if err := Check(m); err != nil {
		return nil, err
	}
	return m, nil
}

func badJSON(m proto.Message, problem string) error {
	return &ampybus.FieldError{Field: "payload", Problem: problem, Fix: "write protojson of " + FQDN(m)}
}
