package ampybus

import (
	"strconv"
	"strings"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// BridgeInfo says how a record came here from another broker.
type BridgeInfo struct {
	// Path lists the places that it was taken from, oldest first: see Hops.
	Path string
	// StoredAt is when the first of these brokers stored it, UTC.
	StoredAt time.Time
	// Key is its key on Kafka, where the partition key does not say it.
	Key string
}

// Hop is one place that a bridge took a record from.
type Hop struct {
	// Broker is the identity of the broker or cluster.
	Broker string
	// Domain is that of the topic. A dead letter keeps the path of the record
	// that it was, and a redriven copy that of the dead letter: the domain tells
	// which of them a bridge carried.
	Domain string
	// Origin is the record's place there, "log:position".
	Origin string
}

// String is the hop as it stands in a path.
func (h Hop) String() string { return h.Broker + "/" + h.Domain + "/" + h.Origin }

// LogPos cuts Origin.
func (h Hop) LogPos() (log string, pos uint64, ok bool) { return cutOrigin(h.Origin) }

// HopOf is the hop of a record that a bridge takes from broker.
func HopOf(broker string, d *driver.Delivery) Hop {
	return Hop{Broker: broker, Domain: domainOf(d.Topic), Origin: d.Origin()}
}

// Hops reads a path. What is none is left out.
func Hops(path string) []Hop {
	var hops []Hop
	for part := range strings.FieldsSeq(path) {
		broker, rest, ok := strings.Cut(part, "/")
		domain, origin, ok2 := strings.Cut(rest, "/")
		if ok && ok2 && broker != "" && origin != "" {
			hops = append(hops, Hop{Broker: broker, Domain: domain, Origin: origin})
		}
	}
	return hops
}

// places are where m has been: here, and as the same kind of record elsewhere.
// A settlement that a bridge carried names its dead letter by the place where
// it was settled.
func (m *Message) places() []string {
	places := []string{m.Origin()}
	for _, h := range Hops(m.Headers.Bridge.Path) {
		if h.Domain == domainOf(m.Topic) {
			places = append(places, h.Broker+"/"+h.Origin)
		}
	}
	return places
}

// settledPlace is the place of the dead letter that a settlement is about.
func settledPlace(settlement *Message, origin string) string {
	hops := Hops(settlement.Headers.Bridge.Path)
	if len(hops) == 0 {
		return origin
	}
	return hops[0].Broker + "/" + origin
}

// carried reports that m came here by a bridge as the record that it is.
func (m *Message) carried() bool { return len(m.places()) > 1 }

// cutOrigin cuts "log:position".
func cutOrigin(origin string) (log string, pos uint64, ok bool) {
	i := strings.LastIndexByte(origin, ':')
	if i < 0 {
		return "", 0, false
	}
	pos, err := strconv.ParseUint(origin[i+1:], 10, 64)
	return origin[:i], pos, err == nil
}
