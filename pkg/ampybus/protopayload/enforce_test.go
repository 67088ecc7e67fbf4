package protopayload

import (
	"errors"
	"strings"
	"testing"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

func TestSchemaGuard(t *testing.T) {
	own, _ := SchemaHash("ampy.fills.v1.FillEvent")
	other := "v1:sha256:" + strings.Repeat("0", 64)
	listed := "v1:sha256:" + strings.Repeat("1", 64)
	known := map[string][]string{"ampy.fills.v1.FillEvent": {listed}, "acme.Thing": {listed}}
	for _, c := range []struct {
		name, schema, hash string
		matches            bool
	}{
		{"its own", "ampy.fills.v1.FillEvent", own, true},
		{"its own under the alias", "ampy.fills.v1.Fill", own, true},
		{"a listed one", "ampy.fills.v1.FillEvent", listed, true},
		{"none", "ampy.fills.v1.FillEvent", "", true},
		{"a peer's, of the descriptor", "ampy.fills.v1.FillEvent", "sha256:" + other[10:], true},
		{"a peer's, of the name", "ampy.fills.v1.FillEvent", "nameonly:sha256:" + other[10:], true},
		{"a schema nobody knows", "acme.Other", other, true},
		{"another", "ampy.fills.v1.FillEvent", other, false},
		{"that of another type", "ampy.fills.v1.FillBatch", own, false},
		{"one not listed for an unknown schema", "acme.Thing", other, false},
		{"a later definition", "ampy.fills.v1.FillEvent", "v2:" + own[3:], false},
	} {
		h := ampybus.Headers{SchemaFQDN: c.schema, SchemaHash: c.hash}
		if lint, err := (SchemaGuard{Known: known}).Check(h); lint != "" || err != nil {
			t.Errorf("off: %s: %q, %v", c.name, lint, err)
		}
		if lint, err := (SchemaGuard{Mode: Warn, Known: known}).Check(h); (lint == "") != c.matches || err != nil {
			t.Errorf("warn: %s: %q, %v", c.name, lint, err)
		}
		lint, err := SchemaGuard{Mode: Strict, Known: known}.Check(h)
		if (err == nil) != c.matches || lint != "" {
			t.Errorf("strict: %s: %q, %v", c.name, lint, err)
		}
		var poison *ampybus.PoisonError
		if err != nil && (!errors.As(err, &poison) || poison.Code != "schema_hash") {
			t.Errorf("strict: %s: %v is no poison with the code schema_hash", c.name, err)
		}
	}
}

func TestParseEnforcement(t *testing.T) {
	for text, want := range map[string]Enforcement{"off": Off, "warn": Warn, "strict": Strict} {
		if got, err := ParseEnforcement(text); got != want || err != nil {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	if _, err := ParseEnforcement("Strict"); err == nil {
		t.Error("accepted Strict")
	}
}
