package kafkabinding

import (
	"net/url"
	"strconv"
	"strings"
)

// claimVersion begins the metadata of a commit that this package wrote.
const claimVersion = "ampy1 "

// maxClaim is below Kafka's default offset.metadata.max.bytes of 4,096.
const maxClaim = 1024

// claim is what a lane's owner leaves with its position, in the metadata of the
// commit: so one write, which the coordinator fences by the group's generation,
// changes both.
type claim struct {
	epoch   uint64
	owner   string // one Source, never the same twice
	member  string // for humans
	open    bool   // not given away in order
	crashes int    // owners in a row before this one that vanished without progress
	started uint64 // the position behind what is being handled; 0: none
}

func (c claim) encode() string {
	v := url.Values{}
	v.Set("e", strconv.FormatUint(c.epoch, 10))
	v.Set("o", c.owner)
	v.Set("m", c.member)
	if c.open {
		v.Set("open", "1")
	}
	if c.crashes > 0 {
		v.Set("c", strconv.Itoa(c.crashes))
	}
	if c.started > 0 {
		v.Set("s", strconv.FormatUint(c.started, 10))
	}
	return claimVersion + v.Encode()
}

// decodeClaim reads metadata. What another tool wrote, or a bad byte, is no
// claim: the commit then is a plain position.
func decodeClaim(metadata string) (c claim, ok bool) {
	text, ok := strings.CutPrefix(metadata, claimVersion)
	if !ok || len(text) > maxClaim {
		return claim{}, false
	}
	v, err := url.ParseQuery(text)
	if err != nil {
		return claim{}, false
	}
	c.epoch, err = strconv.ParseUint(v.Get("e"), 10, 63)
	if err != nil || c.epoch == 0 {
		return claim{}, false
	}
	c.owner, c.member, c.open = v.Get("o"), v.Get("m"), v.Get("open") == "1"
	if s := v.Get("c"); s != "" {
		if c.crashes, err = strconv.Atoi(s); err != nil || c.crashes < 0 {
			return claim{}, false
		}
	}
	if s := v.Get("s"); s != "" {
		if c.started, err = strconv.ParseUint(s, 10, 63); err != nil {
			return claim{}, false
		}
	}
	return c, true
}

// succeed is the claim of the next owner. now is the clock in milliseconds:
// where earlier epochs are lost, it is greater than any that was counted up.
func (c claim) succeed(known bool, owner, member string, now uint64) claim {
	next := claim{epoch: c.epoch + 1, owner: owner, member: member, open: true}
	if !known {
		next.epoch = now
		return next
	}
	switch {
	case c.open && c.owner != owner:
		next.crashes = c.crashes + 1
	case c.open:
		next.crashes = c.crashes // it had lost touch, and did not die
	}
	return next
}
