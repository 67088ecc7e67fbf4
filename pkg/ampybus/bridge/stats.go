package bridge

// Stats count what a Bridge has done since it began.
type Stats struct {
	Forwarded uint64 // acknowledged by the target, repeats not counted
	Repeated  uint64 // held by the target already
	Returned  uint64 // not sent back to where they have been
	Excluded  uint64 // left where they are by Config.Exclude
	Refused   uint64 // by the target, or for a topic that none takes
	Bytes     uint64 // of payloads forwarded
	Gaps      uint64 // times that records were gone before they were carried
	Lost      uint64 // positions in these gaps
	InFlight  int    // taken and not yet acknowledged
}

// Whole reports that nothing was refused or gone.
func (s Stats) Whole() bool { return s.Refused == 0 && s.Gaps == 0 }
