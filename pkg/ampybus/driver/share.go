package driver

import (
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
)

// MaxShares bounds GroupConfig.Shares: each share reads its whole log, and has
// a consumer of its own on the broker.
const MaxShares = 64

// ShareOf is the share, from 0, that a key belongs to: FNV-1a, modulo shares.
// It never changes: members of one group on different versions agree on it.
func ShareOf(key string, shares int) int {
	if shares <= 1 {
		return 0
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(key))
	return int(h.Sum32() % uint32(shares))
}

// LaneOf names the lane of a share, from 0, of a log: "log/2of4"; the log's own
// name where it is not divided.
func LaneOf(log string, share, shares int) string {
	if shares <= 1 {
		return log
	}
	return log + "/" + strconv.Itoa(share+1) + "of" + strconv.Itoa(shares)
}

// CutLane is the reverse of LaneOf. A lane that is no share is share 0 of 1.
func CutLane(lane string) (log string, share, shares int) {
	i := strings.LastIndexByte(lane, '/')
	if i < 0 {
		return lane, 0, 1
	}
	k, n, ok := strings.Cut(lane[i+1:], "of")
	share, err1 := strconv.Atoi(k)
	shares, err2 := strconv.Atoi(n)
	if !ok || err1 != nil || err2 != nil || share < 1 || share > shares || shares < 2 || LaneOf(lane[:i], share-1, shares) != lane {
		return lane, 0, 1
	}
	return lane[:i], share - 1, shares
}

// LaneHolds reports whether the records of a key in a log are delivered on lane.
func LaneHolds(lane, log, key string) bool {
	if lane == log {
		return true
	}
	of, share, shares := CutLane(lane)
	return of == log && ShareOf(key, shares) == share
}

// Check refuses what no broker can open a group with.
func (c *GroupConfig) Check() error {
	switch {
	case c.Group == "":
		return fmt.Errorf("%w: Group: empty: give the group a name", ErrConfig)
	case c.Shares < 0 || c.Shares > MaxShares:
		return fmt.Errorf("%w: Shares: %d: use 1 to %d, or 0 for 1", ErrConfig, c.Shares, MaxShares)
	case c.Shares > 1 && c.KeyOf == nil:
		return fmt.Errorf("%w: KeyOf: not set: a log is divided by key, so say what a record's key is", ErrConfig)
	}
	return nil
}

// OtherShares is the error for a member that asks for a number of shares other
// than that of a group with living members.
func OtherShares(group string, has, asked int) error {
	return fmt.Errorf("%w: Shares: the living members of group %s divide each log by %d, not %d: use %d here, or stop all members and start them with the same number",
		ErrConfig, group, has, asked, has)
}
