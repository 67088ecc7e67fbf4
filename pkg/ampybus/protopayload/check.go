package protopayload

import (
	"math"
	"strconv"
	"strings"
	"sync"
	"unicode"

	commonv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/common/v1"
	metricsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/metrics/v1"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// MaxScale is the largest scale of a decimal: 10^18 is the largest power of ten
// that fits beside it in 64 bits, so two decimals can always be aligned.
const MaxScale = 18

// Check reports what would make consumers refuse m or read it wrongly: a decimal
// whose scale is not 0 to MaxScale, a timestamp outside the years 1 to 9999, a
// metric that is not a number. The error is a *ampybus.FieldError for field
// "payload" that names the path. Decode looks at decimals only.
func Check(m proto.Message) error {
	f := producerRules.inspect(m.ProtoReflect())
	if f == nil {
		return nil
	}
	return &ampybus.FieldError{Field: "payload", Problem: f.path + ": " + f.problem, Fix: f.fix}
}

// finding is the first fault in a message.
type finding struct {
	path, problem, fix string
	scale              int32
}

// rule looks at one message, not at the messages inside it.
type rule func(protoreflect.Message) *finding

// rules are applied to every message inside a payload.
type rules struct {
	byName map[protoreflect.FullName]rule
	plans  sync.Map // protoreflect.FullName -> *plan
}

var (
	consumerRules = &rules{byName: map[protoreflect.FullName]rule{
		"ampy.common.v1.Decimal": checkScale,
	}}
	producerRules = &rules{byName: map[protoreflect.FullName]rule{
		"ampy.common.v1.Decimal":    checkScale,
		"google.protobuf.Timestamp": checkTimestamp,
		"ampy.metrics.v1.Metric":    checkNumber,
	}}
)

func checkScale(m protoreflect.Message) *finding {
	d, ok := m.Interface().(*commonv1.Decimal)
	if !ok || 0 <= d.GetScale() && d.GetScale() <= MaxScale {
		return nil
	}
	return &finding{problem: problemScale, fix: "use a scale of 0 to " + strconv.Itoa(MaxScale), scale: d.GetScale()}
}

func checkTimestamp(m protoreflect.Message) *finding {
	t, ok := m.Interface().(*timestamppb.Timestamp)
	if !ok || t.IsValid() {
		return nil
	}
	return &finding{problem: "invalid timestamp", fix: "use a UTC time of the years 1 to 9999"}
}

func checkNumber(m protoreflect.Message) *finding {
	v, ok := m.Interface().(*metricsv1.Metric)
	if !ok || !math.IsNaN(v.GetValue()) {
		return nil
	}
	return &finding{path: "value", problem: "not a number", fix: "leave the metric out"}
}

// plan says where a rule may apply below one message type, so that inspecting a
// payload does not look at every field.
type plan struct {
	rule   rule
	fields []planField
}

type planField struct {
	protoreflect.FieldDescriptor
	next *plan
}

func (r *rules) inspect(m protoreflect.Message) *finding {
	d := m.Descriptor()
	p, ok := r.plans.Load(d.FullName())
	if !ok {
		p, _ = r.plans.LoadOrStore(d.FullName(), r.planFor(d))
	}
	return p.(*plan).inspect(m)
}

// planFor terminates because no payload type contains itself.
func (r *rules) planFor(d protoreflect.MessageDescriptor) *plan {
	p := &plan{rule: r.byName[d.FullName()]}
	for i := range d.Fields().Len() {
		if f := d.Fields().Get(i); f.Message() != nil && !f.IsMap() {
			p.fields = append(p.fields, planField{f, r.planFor(f.Message())})
		}
	}
	return p
}

func (p *plan) inspect(m protoreflect.Message) *finding {
	if u := m.GetUnknown(); len(u) > 0 && groupsTooDeep(u) {
		return &finding{problem: "unknown groups nested deeper than " + strconv.Itoa(maxDepth)}
	}
	if p.rule != nil {
		if f := p.rule(m); f != nil {
			return f
		}
	}
	for _, field := range p.fields {
		if f := field.inspect(m); f != nil {
			return f
		}
	}
	return nil
}

func (p planField) inspect(m protoreflect.Message) *finding {
	if !m.Has(p.FieldDescriptor) {
		return nil
	}
	v := m.Get(p.FieldDescriptor)
	if !p.IsList() {
		return p.next.inspect(v.Message()).within(string(p.Name()))
	}
	list := v.List()
	for i := range list.Len() {
		if f := p.next.inspect(list.Get(i).Message()); f != nil {
			return f.within(string(p.Name()) + "[" + strconv.Itoa(i) + "]")
		}
	}
	return nil
}

func (f *finding) within(parent string) *finding {
	if f != nil {
		f.path = strings.TrimSuffix(parent+"."+f.path, ".")
	}
	return f
}

// groupsTooDeep applies maxDepth to groups. No payload type has any, so they can
// only be unknown fields, which protobuf-go takes up to a depth of 10,000.
func groupsTooDeep(unknown []byte) bool {
	for depth := 0; len(unknown) > 0; {
		num, wire, n := protowire.ConsumeTag(unknown)
		switch wire {
		case protowire.StartGroupType:
			if depth++; depth > maxDepth {
				return true
			}
		case protowire.EndGroupType:
			depth--
		default:
			n += protowire.ConsumeFieldValue(num, wire, unknown[n:])
		}
		unknown = unknown[n:]
	}
	return false
}

// plain replaces the non-breaking space that protobuf-go puts into its error
// texts so that nobody relies on them.
func plain(err error) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		return r
	}, err.Error())
}
