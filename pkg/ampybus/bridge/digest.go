package bridge

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strings"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// digest is what a record is: topic, key, headers and payload, without the
// bridge's headers. Headers count in the order of their names, because NATS
// keeps no other; values of one name keep their order.
type digest struct {
	all     [16]byte
	payload [8]byte
}

func digestOf(d *driver.Delivery, key string) (sum digest) {
	hs := make([]driver.Header, 0, len(d.Headers))
	for _, h := range d.Headers {
		if !own(h.Name) {
			hs = append(hs, h)
		}
	}
	slices.SortStableFunc(hs, func(a, b driver.Header) int { return strings.Compare(a.Name, b.Name) })
	hash := sha256.New()
	var size [8]byte
	part := func(s []byte) {
		binary.BigEndian.PutUint64(size[:], uint64(len(s)))
		hash.Write(size[:])
		hash.Write(s)
	}
	part([]byte(d.Topic))
	part([]byte(key))
	for _, h := range hs {
		part([]byte(h.Name))
		part([]byte(h.Value))
	}
	payload := sha256.Sum256(d.Value)
	hash.Write(payload[:])
	copy(sum.all[:], hash.Sum(nil))
	copy(sum.payload[:], payload[:])
	return sum
}
