package natsbinding

import (
	"errors"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// receipt is what the reply subject of a delivered record says about it:
// $JS.ACK.<stream>.<consumer>.<times>.<stream seq>.<consumer seq>.<time>.<pending>,
// or the same with <domain>.<account> in front of the stream and a last token
// to ignore (NATS ADR-15).
type receipt struct {
	prefix  string // up to and with the consumer, without a dot at the end; its first bytes may be a mark
	times   uint64
	pos     uint64
	seq     uint64 // the consumer's own count of deliveries
	stored  int64  // ns since 1970
	pending uint64 // records behind this one
	folded  int    // bytes of headers in front of the value, see foldedConn
}

const (
	receiptTokens   = 9  // the short form
	receiptTokensV2 = 11 // at least, in the long one
)

// receiptStart is in front of every receipt.
const receiptStart = "$JS.ACK."

var errNotARecord = errors.New("not a record of a stream")

func parseReceipt(reply string) (receipt, error) {
	folded, ok := foldedBytes(reply)
	if !ok {
		return receipt{}, errNotARecord
	}
	n := 1 + strings.Count(reply, ".")
	skip := 4
	switch {
	case n == receiptTokens:
	case n >= receiptTokensV2:
		skip = 6
	default:
		return receipt{}, errNotARecord
	}
	at := 0
	for range skip {
		at += strings.IndexByte(reply[at:], '.') + 1
	}
	r := receipt{prefix: reply[:at-1], folded: folded}
	var numbers [5]uint64
	for k := range numbers {
		end := strings.IndexByte(reply[at:], '.')
		if end < 0 {
			end = len(reply) - at
		}
		v, ok := decimal(reply[at : at+end])
		if !ok {
			return receipt{}, errNotARecord
		}
		numbers[k] = v
		at = min(at+end+1, len(reply))
	}
	r.times, r.pos, r.seq, r.stored, r.pending = numbers[0], numbers[1], numbers[2], int64(numbers[3]), numbers[4]
	return r, nil
}

// decimal reads an unsigned number of at most 20 digits without allocating.
func decimal[T string | []byte](s T) (uint64, bool) {
	if len(s) == 0 || len(s) > 20 {
		return 0, false
	}
	var n uint64
	for i := range len(s) {
		c := s[i] - '0'
		if c > 9 {
			return 0, false
		}
		next := n*10 + uint64(c)
		if next/10 != n {
			return 0, false // over 64 bits
		}
		n = next
	}
	return n, true
}

// delivery builds what the driver hands over. The server's count of deliveries
// begins anew with each reset, so it says nothing about the group: it is left
// out. Headers that cannot be read are none, as for the client library.
func (u *unpacker) delivery(m *nats.Msg, r receipt, stream string) driver.Delivery {
	var hs []driver.Header
	var id string
	if r.folded > 0 {
		hs, id = u.block(m.Data[:r.folded:r.folded])
	} else {
		hs, id = u.headers(m.Header)
	}
	return driver.Delivery{
		Record:   driver.Record{Topic: m.Subject, ID: id, Headers: hs, Value: m.Data[r.folded:]},
		Log:      stream,
		Pos:      r.pos,
		StoredAt: time.Unix(0, r.stored).UTC(),
	}
}
