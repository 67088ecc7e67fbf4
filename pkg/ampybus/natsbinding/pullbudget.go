package natsbinding

import "sync/atomic"

const (
	// pullBudget is what the open pulls of a connection may bring together. A
	// server cuts a client off for which more than its max_pending waits, 64 MiB
	// by default; while lanes are added, older pulls are larger than their share.
	pullBudget = 16 << 20
	// maxPullBytes bounds one pull: with as much again that is not handed over
	// yet it is what a lane can hold in memory beside the bus.
	maxPullBytes = 8 << 20
	// minPullBytes keeps pulls worth their round trip where lanes are many.
	minPullBytes = 64 << 10
)

// pullCount counts the pullers of a connection, which share its budget. The
// zero value is ready.
type pullCount struct{ n atomic.Int64 }

func (c *pullCount) add(n int64) { c.n.Add(n) }

// share is what one pull may bring.
func (c *pullCount) share() int {
	return max(minPullBytes, min(maxPullBytes, pullBudget/int(max(c.n.Load(), 1))))
}
