package protopayload

import (
	"fmt"
	"slices"
	"strings"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// ReasonSchemaHash is the dead-letter code of a payload whose schema_hash is
// unknown under strict enforcement.
const ReasonSchemaHash = "schema_hash"

// Enforcement says what an unknown schema_hash leads to. The zero value is Off.
type Enforcement int

const (
	// Off ignores schema_hash.
	Off Enforcement = iota
	// Warn reports an unknown hash as a lint.
	Warn
	// Strict refuses a message with an unknown hash. New fields change the hash:
	// list the hashes of old and new before producers move.
	Strict
)

// ParseEnforcement reads "off", "warn" or "strict".
func ParseEnforcement(s string) (Enforcement, error) {
	i := slices.Index([]string{"off", "warn", "strict"}, s)
	if i < 0 {
		return Off, fmt.Errorf("schema hash enforcement %q: write off, warn or strict", s)
	}
	return Enforcement(i), nil
}

// SchemaGuard compares the schema_hash of messages with the hashes that are
// known. The zero value lets everything pass. It is read only and may be used by
// several goroutines.
type SchemaGuard struct {
	Mode Enforcement
	// Known lists accepted hashes by schema_fqdn, beside the hash of the type
	// that this program was built with. A schema that this program does not have
	// is held to its list, if it has one.
	Known map[string][]string
}

// Check looks at one message. A lint is what to log or count; an error, only
// under Strict, is a *ampybus.PoisonError with the code ReasonSchemaHash.
//
// A message without the header passes: it is optional (specification §6.2). So do
// the two forms of ampy-bus 1.x, which hash compiler output and cannot be
// compared with ours.
func (g SchemaGuard) Check(h ampybus.Headers) (lint string, err error) {
	if g.Mode == Off || h.SchemaHash == "" || isForeignHash(h.SchemaHash) || g.knows(h) {
		return "", nil
	}
	problem := fmt.Sprintf("%s is unknown for %s", h.SchemaHash, h.SchemaFQDN)
	if g.Mode == Warn {
		return ReasonSchemaHash + ": " + problem, nil
	}
	return "", &ampybus.PoisonError{Code: ReasonSchemaHash, Err: fmt.Errorf("%s", problem)}
}

func (g SchemaGuard) knows(h ampybus.Headers) bool {
	name := ampybus.CanonicalSchema(h.SchemaFQDN)
	listed, ok := g.Known[name]
	if slices.Contains(listed, h.SchemaHash) {
		return true
	}
	own, err := SchemaHash(name)
	if err != nil {
		return !ok
	}
	return own == h.SchemaHash
}

// isForeignHash recognises what peers of ampy-bus 1.x write.
func isForeignHash(hash string) bool {
	return strings.HasPrefix(hash, "sha256:") || strings.HasPrefix(hash, "nameonly:sha256:")
}
