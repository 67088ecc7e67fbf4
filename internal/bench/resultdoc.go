package bench

import "time"

// Doc is a run as JSON: what was asked for, what came of it, what it cost.
// Percentiles are null where no latency was measured.
type Doc struct {
	Name       string  `json:"name"`
	Mode       Mode    `json:"mode"`
	Topic      string  `json:"topic"`
	Size       int     `json:"size"`
	Keys       int     `json:"keys"`
	Asked      float64 `json:"rate"` // zero: as fast as possible
	Callers    int     `json:"callers"`
	Batch      int     `json:"batch"`
	Wanted     int     `json:"wanted"`
	Published  int     `json:"published"`
	Failed     int     `json:"failed"`
	Uncertain  int     `json:"uncertain"`
	Bytes      int64   `json:"payload_bytes"`
	Received   int     `json:"received"`
	Seconds    float64 `json:"seconds"`
	Rate       float64 `json:"msg_per_s"`
	P50Micros  *int64  `json:"p50_us"`
	P90Micros  *int64  `json:"p90_us"`
	P99Micros  *int64  `json:"p99_us"`
	P999Micros *int64  `json:"p99_9_us"`
	MaxMicros  *int64  `json:"max_us"`
	CPUSeconds float64 `json:"cpu_s_per_million"`
	Allocs     float64 `json:"allocs_per_msg"`
	AllocBytes float64 `json:"alloc_bytes_per_msg"`
	Error      string  `json:"error,omitempty"`
}

// Doc returns r for encoding/json.
func (r *Result) Doc() Doc {
	w := r.Work
	d := Doc{
		Name: r.Name, Mode: w.Mode, Topic: w.Load.Topic, Size: w.Load.PayloadBytes, Keys: max(w.Load.Keys, 1),
		Asked: w.Load.Rate, Callers: w.Callers, Batch: w.Batch,
		Wanted: r.Wanted, Published: r.Published, Failed: r.Failed, Uncertain: r.Uncertain, Received: r.Received,
		Bytes: r.Bytes, Seconds: r.Took.Seconds(), Rate: r.Rate(),
		CPUSeconds: r.CPUPerMillion().Seconds(), Allocs: r.Allocs(), AllocBytes: r.AllocBytes(),
	}
	if r.latency.TotalCount() > 0 {
		d.P50Micros, d.P90Micros = r.micros(50), r.micros(90)
		d.P99Micros, d.P999Micros = r.micros(99), r.micros(99.9)
		d.MaxMicros = r.micros(100)
	}
	if r.Err != nil {
		d.Error = r.Err.Error()
	}
	return d
}

func (r *Result) micros(p float64) *int64 {
	us := int64(r.Latency(p) / time.Microsecond)
	return &us
}
