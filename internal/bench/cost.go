package bench

import (
	"runtime"
	"time"
)

// cost is what this process has used so far.
type cost struct {
	cpu    time.Duration
	allocs uint64
	bytes  uint64
}

func costNow() cost {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return cost{cpu: CPUTime(), allocs: m.Mallocs, bytes: m.TotalAlloc}
}

// since is what was used from before until c.
func (c cost) since(before cost) cost {
	return cost{cpu: c.cpu - before.cpu, allocs: c.allocs - before.allocs, bytes: c.bytes - before.bytes}
}
