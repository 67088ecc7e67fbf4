package protopayload

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// row says how the payloads of one domain describe their envelope. The columns
// that need no payload are in ampybus.Policy.
type row struct {
	domain string
	// describe derives the facts of one record.
	describe func(f *finder, record proto.Message) Facts
	// batch says whether these records may travel together.
	batch func(topic ampybus.Topic, all []Facts) error
}

// rows is the table: one row per domain with payloads of its own. Dead letters
// have none: what they carry is described by its own domain.
var rows = []row{
	{ampybus.DomainBars, typed(describeBar), oneKey},
	{ampybus.DomainTicks, describeTick, oneKind},
	{ampybus.DomainFundamentals, typed(describeFundamentals), oneKey},
	{ampybus.DomainNews, typed(describeNews), namedKey},
	{ampybus.DomainFX, typed(describeRate), oneKeyUnlessRates},
	{ampybus.DomainCorporateActions, describeAction, oneKey},
	{ampybus.DomainUniverse, typed(describeUniverse), oneKey},
	{ampybus.DomainSignals, typed(describeSignal), oneModel},
	{ampybus.DomainOrders, typed(describeOrder), oneRecord},
	{ampybus.DomainFills, typed(describeFill), oneKey},
	{ampybus.DomainPositions, typed(describePosition), oneKey},
	{ampybus.DomainMetrics, typed(describeMetric), namedKey},
	{ampybus.DomainControl, describeControl, oneRecord},
}

// typed adapts a function of one type to the table's column.
func typed[M proto.Message](describe func(*finder, M) Facts) func(*finder, proto.Message) Facts {
	return func(f *finder, m proto.Message) Facts {
		r, ok := m.(M)
		if !ok {
			f.need("a record of the domain", "")
			return Facts{}
		}
		return describe(f, r)
	}
}

func rowFor(m proto.Message) (row, error) {
	fqdn := FQDN(m)
	if _, known := byName()[fqdn]; known {
		domain := Domain(fqdn)
		for _, r := range rows {
			if r.domain == domain {
				return r, nil
			}
		}
	}
	return row{}, fmt.Errorf("%w %q", ErrUnknownSchema, fqdn)
}

// Domain is the domain that a payload type belongs to: the second part of its
// name. It is empty for what is not ampy.{domain}.{version}.{type}.
func Domain(fqdn string) string {
	parts := strings.Split(fqdn, ".")
	if len(parts) != 4 || parts[0] != "ampy" {
		return ""
	}
	return parts[1]
}
