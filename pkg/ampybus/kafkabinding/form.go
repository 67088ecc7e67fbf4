package kafkabinding

import (
	"github.com/twmb/franz-go/pkg/kbin"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// form is what the header blocks of a partition's records have in common: all
// bytes but the values that differ from record to record. A block of the same
// form need not be read header by header. Blocks of another make another form,
// which lets more values differ; so it settles.
type form struct {
	headers []driver.Header // those of a block of this form; nil: there is none
	parts   []part
	tail    string // what follows the last of parts
	ends    []int  // of the values of one record, behind each other
	debt    int    // records until what was learned has paid
}

// part is a value that may differ.
type part struct {
	header int    // its index
	before string // the bytes since the part before, up to its length
}

const (
	// learnCost is after how many records it has paid to learn a form.
	learnCost = 16
	// maxDebt lets a few be learned one after the other.
	maxDebt = 8 * learnCost
	// maxForm bounds the headers of a form.
	maxForm = 64
)

// forget is for when headers have been read that f has not seen.
func (f *form) forget() { f.headers = nil }

// learn takes a block apart, whose headers were read to hs. changed says whether
// the value of a header is not that of the record before.
func (f *form) learn(b []byte, hs []driver.Header, changed func(header int) bool) {
	f.debt = max(f.debt-1, 0)
	if f.debt+learnCost > maxDebt || len(hs) > maxForm || len(hs) == 0 {
		f.forget()
		return
	}
	f.debt += learnCost
	var differs [maxForm]bool
	if len(f.headers) == len(hs) {
		for i := range f.parts {
			differs[f.parts[i].header] = true
		}
		for i := range hs {
			differs[i] = differs[i] || changed(i)
		}
	}
	f.headers, f.parts = hs, f.parts[:0]
	_, at := kbin.Varint(b)
	from := 0
	for i := range hs {
		_, length := field(b, at) // behind the name
		_, at = field(b, length)
		if differs[i] {
			f.parts = append(f.parts, part{i, string(b[from:length])})
			from = at
		}
	}
	f.tail = string(b[from:])
	f.ends = append(f.ends[:0], make([]int, len(f.parts))...)
}

// read appends the values that differ to news; false if b is not of this form.
func (f *form) read(b, news []byte) ([]byte, bool) {
	for i := range f.parts {
		before := f.parts[i].before
		if len(b) <= len(before) || string(b[:len(before)]) != before {
			return news, false
		}
		from, to := field(b, len(before))
		if to == nowhere {
			return news, false
		}
		news = append(news, b[from:to]...)
		f.ends[i] = len(news)
		b = b[to:]
	}
	f.debt = max(f.debt-1, 0)
	return news, string(b) == f.tail
}
