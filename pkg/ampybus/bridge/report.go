package bridge

import "fmt"

// Kind of a difference.
type Kind string

// Kinds of difference. Missing: on the source only. Extra: on the target only.
// Changed: on both, and not the same. Reordered: behind a later record of its
// key.
const (
	Missing   Kind = "missing"
	Extra     Kind = "extra"
	Changed   Kind = "changed"
	Reordered Kind = "reordered"
)

// Difference is one record that differs.
type Difference struct {
	Kind           Kind
	Topic          string
	Key, MessageID string
	From, To       string // its places, "log:position", where it is there
	What           string // of a changed one: what is not the same
}

// Report is what Verify found.
type Report struct {
	From, To uint64 // records compared
	Same     uint64 // of them on both sides, the same
	Count    map[Kind]uint64
	// Repeated counts second copies on the target of what was carried again
	// after its dedupe window. They are no difference: they have the message_id
	// of the first.
	Repeated uint64
	// Gone counts what the target holds and the source no longer.
	Gone uint64
	// Later counts what the target holds and the source had not when it was read.
	Later uint64
	// Own counts the target's own records, with VerifyConfig.Carried.
	Own uint64
	// Examples of each kind, the first found.
	Examples []Difference

	most int
}

// Equal reports that both sides hold the same.
func (r *Report) Equal() bool { return len(r.Count) == 0 }

func (r *Report) add(d Difference) {
	r.Count[d.Kind]++
	if r.Count[d.Kind] <= uint64(r.most) {
		r.Examples = append(r.Examples, d)
	}
}

// String counts the differences.
func (r *Report) String() string {
	return fmt.Sprintf("%d missing, %d extra, %d changed, %d reordered",
		r.Count[Missing], r.Count[Extra], r.Count[Changed], r.Count[Reordered])
}
