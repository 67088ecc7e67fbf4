package natsbinding

import (
	"bytes"
	"slices"
	"strings"
)

// foldMark is the first byte of the reply subject of a folded record. Five digits
// follow, the length of the headers, in the places of the letters of $JS.ACK.:
// the subject keeps its tokens and its length.
const foldMark = '!'

// maxFolded is the largest length that has room there; JetStream's own limit is
// below it.
const maxFolded = 99_999

// digitPlaces are where the digits stand.
func digitPlaces() [5]int { return [...]int{1, 2, 4, 5, 6} }

// fold changes the line of a message, without the last of its fields
// "HMSG subject sid reply headers", if it is a record of a pull.
func (f *folds) fold(line []byte) {
	if bytes.Count(line, []byte{' '}) != 4 {
		return // no reply subject
	}
	at := bytes.LastIndexByte(line, ' ')
	size := line[at+1:]
	reply := line[bytes.LastIndexByte(line[:at], ' ')+1 : at]
	n, ok := decimal(size)
	if !ok || n > maxFolded || !bytes.HasPrefix(reply, []byte(receiptStart)) || !f.has(receiver(reply)) {
		return
	}
	for i := range size {
		size[i] = '0'
	}
	reply[0] = foldMark
	places := digitPlaces()
	for _, k := range slices.Backward(places[:]) {
		reply[k] = byte('0' + n%10)
		n /= 10
	}
}

// receiver is the stream and the consumer in a receipt, with the dot between them.
func receiver(reply []byte) []byte {
	from := len(receiptStart)
	if n := 1 + bytes.Count(reply, []byte{'.'}); n >= receiptTokensV2 {
		from += afterDots(reply[from:], 2)
	}
	return reply[from : from+max(0, afterDots(reply[from:], 2)-1)]
}

// afterDots is the index behind the given number of dots.
func afterDots(b []byte, dots int) (at int) {
	for range dots {
		at += bytes.IndexByte(b[at:], '.') + 1
	}
	return at
}

// foldedBytes tells, of a receipt, how many bytes of headers are in front of the
// record's value. ok is false for what is no receipt.
func foldedBytes(reply string) (n int, ok bool) {
	if strings.HasPrefix(reply, receiptStart) {
		return 0, true
	}
	if len(reply) < len(receiptStart) || reply[0] != foldMark || reply[3] != '.' || reply[7] != '.' {
		return 0, false
	}
	for _, k := range digitPlaces() {
		d := reply[k] - '0'
		if d > 9 {
			return 0, false
		}
		n = 10*n + int(d)
	}
	return n, true
}
