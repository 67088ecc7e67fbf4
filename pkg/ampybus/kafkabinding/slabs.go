package kafkabinding

import (
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
)

// maxSlab is the largest, in records, that is kept.
const maxSlab = 16 << 10

// slabs implements kgo.PoolRecords: the client makes room for all records of a
// batch, and needs it only until the one that stands for them has been taken.
type slabs struct{ pool sync.Pool }

func (s *slabs) GetRecords(n int) []kgo.Record {
	if rs, _ := s.pool.Get().(*[]kgo.Record); rs != nil && cap(*rs) >= n {
		return (*rs)[:n]
	}
	return make([]kgo.Record, n)
}

func (s *slabs) PutRecords(rs []kgo.Record) {
	if cap(rs) <= maxSlab {
		s.pool.Put(&rs)
	}
}
