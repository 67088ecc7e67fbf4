package kafkabinding

import (
	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// unpacker makes deliveries of the records of one partition. Names and values
// that are as in the record before are taken from there: most of a record's
// headers are, and their text is then neither copied nor kept twice. It belongs
// to one goroutine.
type unpacker struct {
	log  string
	last []driver.Header
	near []byte // the headers of one record
	news []byte // values that are not as before, behind each other
	ends []int  // where each ends, by index in the record; same: as before
	one  driver.Delivery
}

const same = -1

// decode makes a delivery of a Kafka record. The strings that are new share one
// piece of memory.
func (u *unpacker) decode(r *kgo.Record) driver.Delivery {
	d := driver.Delivery{Log: u.log, Pos: uint64(r.Offset), StoredAt: r.Timestamp.UTC().Round(0)}
	d.Value = r.Value
	u.finish(&d, r.Topic, r.Key, u.plain(r.Headers))
	return d
}

// finish fills in what key and headers say.
func (u *unpacker) finish(d *driver.Delivery, kafkaTopic string, key []byte, hs []driver.Header) {
	claimed, own, message, id := "", "", "", ""
	kept := hs[:0:len(hs)]
	for _, h := range hs {
		switch h.Name {
		case ownTopic:
			own = h.Value
			continue
		case ownID:
			id = h.Value
			continue
		case headerTopic:
			claimed = h.Value
		case headerMessageID:
			message = h.Value
		case headerPartitionKey:
			if h.Value == string(key) {
				d.Key = h.Value // no second copy
			}
		}
		kept = append(kept, h)
	}
	if d.Headers = kept; len(kept) == 0 {
		d.Headers = nil
	}
	if d.Key == "" {
		d.Key = string(key)
	}
	d.Topic = busTopic(kafkaTopic, own, claimed)
	if d.ID = id; id == "" {
		d.ID = message
	}
}

// packed reads a count, then names and values. It has left the processor's cache
// since it was fetched: to copy it as a whole is faster than to wait for one
// header after the other.
func (u *unpacker) packed(b []byte) []driver.Header {
	u.near = append(u.near[:0], b...)
	b = u.near
	n, at := kbin.Varint(b)
	hs := u.begin(int(n))
	for i := range hs {
		from, to := field(b, at)
		if name := b[from:to]; u.last[i].Name != string(name) {
			u.last[i] = driver.Header{Name: string(name)}
		}
		from, at = field(b, to)
		u.put(hs, i, b[from:at])
	}
	return u.end(hs)
}

// plain reads headers that the client has read.
func (u *unpacker) plain(from []kgo.RecordHeader) []driver.Header {
	hs := u.begin(len(from))
	for i := range hs {
		if u.last[i].Name != from[i].Key {
			u.last[i] = driver.Header{Name: from[i].Key}
		}
		u.put(hs, i, from[i].Value)
	}
	return u.end(hs)
}

// begin makes room for a record's headers: those before, as far as there are.
func (u *unpacker) begin(n int) []driver.Header {
	for len(u.last) < n {
		u.last = append(u.last, driver.Header{})
		u.ends = append(u.ends, 0)
	}
	u.news = u.news[:0]
	if n <= 0 {
		return nil
	}
	return make([]driver.Header, n)
}

// put takes header i: u.last[i] has its name.
func (u *unpacker) put(hs []driver.Header, i int, value []byte) {
	if hs[i] = u.last[i]; hs[i].Value == string(value) {
		u.ends[i] = same
		return
	}
	u.news = append(u.news, value...)
	u.ends[i] = len(u.news)
}

// end makes strings of the values that are new.
func (u *unpacker) end(hs []driver.Header) []driver.Header {
	news, at := string(u.news), 0
	for i := range hs {
		if end := u.ends[i]; end != same {
			hs[i].Value = news[at:end]
			at = end
			u.last[i].Value = hs[i].Value
		}
	}
	return hs
}
