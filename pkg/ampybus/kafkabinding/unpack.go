package kafkabinding

import (
	"slices"

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
	uses []use           // of the names in last
	form form            // of packed records
	slab []driver.Header // memory for those of the next records
	news []byte          // values that are not as before, behind each other
	ends []int           // where each ends, by index in the record; same: as before
	one  driver.Delivery
}

const same = -1

// slabHeaders are allocated in one piece: those of about 30 records. Who keeps
// the headers of one keeps those of the others, as with the batch.
const slabHeaders = 384

// decode makes a delivery of a Kafka record. The strings that are new share one
// piece of memory.
func (u *unpacker) decode(r *kgo.Record) driver.Delivery {
	d := driver.Delivery{Log: u.log, Pos: uint64(r.Offset), StoredAt: r.Timestamp.UTC().Round(0)}
	d.Value = r.Value
	u.finish(&d, r.Topic, r.Key, u.plain(r.Headers))
	return d
}

// finish fills in what key and headers say. The binding's own headers are taken
// out.
func (u *unpacker) finish(d *driver.Delivery, kafkaTopic string, key []byte, hs []driver.Header) {
	claimed, own, message, id, owns := "", "", "", "", false
	for i := range hs {
		switch v := hs[i].Value; u.uses[i] {
		case useNone:
		case useOwnTopic:
			own, owns = v, true
		case useOwnID:
			id, owns = v, true
		case useTopic:
			claimed = v
		case useMessageID:
			message = v
		case usePartitionKey:
			if v == string(key) {
				d.Key = v // no second copy
			}
		}
	}
	if owns {
		hs = slices.DeleteFunc(hs, func(h driver.Header) bool { return useOf(h.Name) >= useOwnTopic })
	}
	d.Headers = hs
	if d.Key == "" {
		d.Key = string(key)
	}
	d.Topic = busTopic(kafkaTopic, own, claimed)
	if d.ID = id; id == "" {
		d.ID = message
	}
}

// use is what a header says of a delivery.
type use uint8

const (
	useNone use = iota
	useTopic
	useMessageID
	usePartitionKey
	useOwnTopic // the binding's own from here on
	useOwnID
)

func useOf(name string) use {
	switch name {
	case ownTopic:
		return useOwnTopic
	case ownID:
		return useOwnID
	case headerTopic:
		return useTopic
	case headerMessageID:
		return useMessageID
	case headerPartitionKey:
		return usePartitionKey
	}
	return useNone
}

// packed reads a count, then names and values.
func (u *unpacker) packed(b []byte) []driver.Header {
	if len(u.form.headers) > 0 {
		var alike bool
		if u.news, alike = u.form.read(b, u.news[:0]); alike {
			return u.alike()
		}
	}
	n, at := kbin.Varint(b)
	hs := u.begin(int(n))
	for i := range hs {
		from, to := field(b, at)
		if name := b[from:to]; u.last[i].Name != string(name) {
			u.name(i, string(name))
		}
		from, at = field(b, to)
		u.put(hs, i, b[from:at])
	}
	hs = u.end(hs)
	u.form.learn(b, u.last[:len(hs)], func(i int) bool { return u.ends[i] != same })
	return hs
}

// alike are headers of the form, with new values where they differ.
func (u *unpacker) alike() []driver.Header {
	f := &u.form
	hs := u.room(len(f.headers))
	copy(hs, f.headers)
	news, at := string(u.news), 0
	for i, end := range f.ends {
		hs[f.parts[i].header].Value = news[at:end]
		at = end
	}
	return hs
}

// plain reads headers that the client has read.
func (u *unpacker) plain(from []kgo.RecordHeader) []driver.Header {
	u.form.forget()
	hs := u.begin(len(from))
	for i := range hs {
		if u.last[i].Name != from[i].Key {
			u.name(i, from[i].Key)
		}
		u.put(hs, i, from[i].Value)
	}
	return u.end(hs)
}

func (u *unpacker) name(i int, name string) {
	u.last[i], u.uses[i] = driver.Header{Name: name}, useOf(name)
}

// begin makes room for a record's headers: those before, as far as there are.
func (u *unpacker) begin(n int) []driver.Header {
	for len(u.last) < n {
		u.last = append(u.last, driver.Header{})
		u.ends = append(u.ends, 0)
		u.uses = append(u.uses, useNone)
	}
	u.news = u.news[:0]
	if n <= 0 {
		return nil
	}
	return u.room(n)
}

// room is memory for n headers.
func (u *unpacker) room(n int) []driver.Header {
	if len(u.slab) < n {
		u.slab = make([]driver.Header, max(n, slabHeaders))
	}
	hs := u.slab[:n:n]
	u.slab = u.slab[n:]
	return hs
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
