package kafkabinding

import "sync"

const (
	// fetchBytes and partitionBytes bound what a fetch brings over the network:
	// of one broker, and of one partition.
	fetchBytes     = 8 << 20
	partitionBytes = 1 << 20
	// fetchRoom and partitionRoom bound what that may unpack to, as far as it is
	// known from what was unpacked before. The client holds one fetch of each
	// broker unpacked, beside what lanes hold.
	fetchRoom     = 16 << 20
	partitionRoom = 4 << 20
	// leastFetch is asked for of batches that unpack to very much, too: where
	// one does not fit, brokers give one alone.
	leastFetch = 64 << 10
	// usualSwell is assumed as long as nothing is known.
	usualSwell = 4
	// swellMemory is after how many bytes what came before counts half.
	swellMemory = 4 << 20
)

// swell is how many times as large batches lately became when they were
// unpacked.
type swell struct {
	mu               sync.Mutex
	packed, unpacked int64
}

func (s *swell) note(packed, unpacked int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.packed += int64(packed)
	s.unpacked += int64(unpacked)
	if s.packed > swellMemory {
		s.packed /= 2
		s.unpacked /= 2
	}
}

// limits are how much to ask a broker for, at once and of each partition.
func (s *swell) limits() (fetch, partition int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	times := int64(usualSwell)
	if s.packed > 0 {
		times = max(1, s.unpacked/s.packed)
	}
	return bounded(fetchRoom/times, fetchBytes), bounded(partitionRoom/times, partitionBytes)
}

func bounded(n, most int64) int32 { return int32(max(leastFetch, min(n, most))) }
