package bridge

import (
	"strconv"
	"strings"
	"time"

	"github.com/AmpyFin/ampy-bus/internal/mutant"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// own reports a header of the bridge's.
func own(name string) bool {
	return name == ampybus.HeaderBridgePath || name == ampybus.HeaderBridgeStoredAt || name == ampybus.HeaderBridgeKey
}

// marks are what a record says about its way here.
type marks struct {
	path     string
	hops     []ampybus.Hop // as the record that it is
	storedAt time.Time     // by the first broker
	key      string
}

func marksOf(d *driver.Delivery) marks {
	m := marks{storedAt: d.StoredAt, key: d.Key}
	inKey, partitionKey := "", ""
	for i := range d.Headers {
		switch h := &d.Headers[i]; h.Name {
		case ampybus.HeaderBridgePath:
			m.path = h.Value
		case ampybus.HeaderBridgeStoredAt:
			if t, err := time.Parse(time.RFC3339Nano, h.Value); err == nil {
				m.storedAt = t
			}
		case ampybus.HeaderBridgeKey:
			inKey = h.Value
		case ampybus.HeaderPartitionKey:
			partitionKey = h.Value
		}
	}
	for _, h := range ampybus.Hops(m.path) {
		if h.Domain == domainOf(d.Topic) {
			m.hops = append(m.hops, h)
		}
	}
	for _, k := range [...]string{inKey, partitionKey, d.Topic} {
		if m.key == "" {
			m.key = k
		}
	}
	return m
}

// been reports whether the record has been on a broker.
func (m *marks) been(broker string) bool {
	for _, h := range m.hops {
		if h.Broker == broker {
			return true
		}
	}
	return false
}

// carried is the record for the target: every header as it is, and the
// bridge's own at the end.
func (e ends) carried(d *driver.Delivery, m *marks) driver.Record {
	hop := ampybus.HopOf(e.from, d).String()
	hs := make([]driver.Header, 0, len(d.Headers)+3)
	partitionKey := ""
	for _, h := range d.Headers {
		if h.Name == ampybus.HeaderPartitionKey {
			partitionKey = h.Value
		}
		if !own(h.Name) {
			hs = append(hs, h)
		}
	}
	hs = append(hs,
		driver.Header{Name: ampybus.HeaderBridgePath, Value: strings.TrimSpace(m.path + " " + hop)},
		driver.Header{Name: ampybus.HeaderBridgeStoredAt, Value: m.storedAt.UTC().Format(time.RFC3339Nano)})
	if m.key != partitionKey && m.key != d.Topic {
		hs = append(hs, driver.Header{Name: ampybus.HeaderBridgeKey, Value: m.key})
	}
	return driver.Record{Topic: d.Topic, Key: m.key, ID: e.publishID(d, hop), Headers: hs, Value: d.Value}
}

// publishID is the same for each time that a record is carried, and for no
// other record: message_ids repeat in a log of dead letters or redriven copies,
// and a log that is made again begins at position 1 again.
func (e ends) publishID(d *driver.Delivery, hop string) string {
	if mutant.On("bridge-bare-message-id") {
		for _, h := range d.Headers {
			if h.Name == ampybus.HeaderMessageID {
				return h.Value
			}
		}
	}
	return "bridge." + hop + "@" + strconv.FormatInt(d.StoredAt.UnixNano(), 36)
}

func messageID(d *driver.Delivery) string {
	for _, h := range d.Headers {
		if h.Name == ampybus.HeaderMessageID {
			return h.Value
		}
	}
	return ""
}

func domainOf(topic string) string {
	_, rest, _ := strings.Cut(topic, ".")
	_, rest, _ = strings.Cut(rest, ".")
	domain, _, _ := strings.Cut(rest, ".")
	return domain
}
