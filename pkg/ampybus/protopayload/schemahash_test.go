package protopayload

import (
	"bufio"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// The table holds the hashes that Python and C++ compute for the same types.
func TestSchemaHashesAreThoseOfPythonAndCPlusPlus(t *testing.T) {
	want := hashTable(t)
	for _, fqdn := range Schemas() {
		got, err := SchemaHash(fqdn)
		if err != nil {
			t.Fatal(err)
		}
		if got != want[fqdn] {
			t.Errorf("%s: got %s, want %s", fqdn, got, want[fqdn])
		}
		delete(want, fqdn)
	}
	for fqdn := range want {
		t.Errorf("%s is in the table but is no payload type", fqdn)
	}
}

func hashTable(t *testing.T) map[string]string {
	t.Helper()
	f, err := os.Open("testdata/schema_hashes.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	table := map[string]string{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if name, hash, ok := strings.Cut(lines.Text(), " "); ok {
			table[name] = hash
		}
	}
	return table
}

func TestAnAliasHashesAsItsRealType(t *testing.T) {
	for alias, name := range map[string]string{
		"ampy.fills.v1.Fill":         "ampy.fills.v1.FillEvent",
		"ampy.positions.v1.Position": "ampy.positions.v1.PositionSnapshot",
	} {
		a, errA := SchemaHash(alias)
		b, errB := SchemaHash(name)
		if errA != nil || errB != nil || a != b {
			t.Errorf("%s: %s (%v), %s: %s (%v)", alias, a, errA, name, b, errB)
		}
	}
}

func TestAnUnknownSchemaHasNoHash(t *testing.T) {
	for _, fqdn := range []string{"", "x", "ampy.bars.v1.Nothing", "ampy.common.v1.Meta", "ampy.fx.v1.Pair", "ampy.control.v1.TimeWindow", "Fill"} {
		if hash, err := SchemaHash(fqdn); !errors.Is(err, ErrUnknownSchema) || hash != "" {
			t.Errorf("%q: %q, %v", fqdn, hash, err)
		}
	}
}

func TestEveryPolicySchemaIsAPayloadTypeOfItsDomain(t *testing.T) {
	for _, domain := range ampybus.Domains() {
		policy, ok := ampybus.PolicyFor(domain)
		if !ok {
			t.Errorf("%s has no policy row", domain)
		}
		if domain == ampybus.DomainDLQ {
			continue
		}
		for _, fqdn := range append([]string{policy.DefaultSchema}, policy.Schemas...) {
			if _, err := New(fqdn); err != nil {
				t.Errorf("%s: %v", domain, err)
			}
		}
	}
}
