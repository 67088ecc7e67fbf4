package ampytest

import "time"

// Op is what was done.
type Op string

// Operations. A publish and a commit are two events each: the invocation, and
// how it ended.
const (
	OpPublish Op = "publish" // a message was handed to the bus
	OpStore   Op = "store"   // the broker's word on one attempt to store a record
	OpDead    Op = "dead"    // the broker's word on one attempt to store a dead letter
	OpOwn     Op = "own"     // a lane was assigned; Pos is where it begins
	OpLost    Op = "lost"    // a lane was lost
	OpGap     Op = "gap"     // positions [Pos, To) were reported as gone
	OpDeliver Op = "deliver" // a record reached a member
	OpEffect  Op = "effect"  // a message took effect
	OpCommit  Op = "commit"  // every position below Pos is finished
	OpExpect  Op = "expect"  // the message is poison: it must become a dead letter
	OpHold    Op = "hold"    // at the end a log held this record
	OpLetter  Op = "letter"  // at the end a log held this dead letter
	OpFault   Op = "fault"   // a fault was injected; Text names it
)

// Phase is how far an operation is.
type Phase string

// Phases. Info means that nobody knows whether it took place.
const (
	Invoke Phase = "invoke"
	OK     Phase = "ok"
	Fail   Phase = "fail"
	Info   Phase = "info"
)

// Event is one step of a history. Fields that an operation does not have are
// zero.
type Event struct {
	At    time.Time `json:"at"`
	Proc  string    `json:"proc,omitempty"` // process, or member
	Op    Op        `json:"op"`
	Phase Phase     `json:"phase,omitempty"`
	Key   string    `json:"key,omitempty"`
	ID    string    `json:"id,omitempty"`   // message_id, or origin where there is none
	As    string    `json:"as,omitempty"`   // publish id
	Log   string    `json:"log,omitempty"`  // log of the record
	Lane  string    `json:"lane,omitempty"` // lane of the member
	Epoch uint64    `json:"epoch,omitempty"`
	Pos   uint64    `json:"pos,omitempty"`
	To    uint64    `json:"to,omitempty"`
	// Origin is where a dead letter's original is stored.
	Origin string `json:"origin,omitempty"`
	// Hash is of the record's bytes, Head of its headers without those that a
	// dead letter adds.
	Hash string `json:"hash,omitempty"`
	Head string `json:"head,omitempty"`
	Text string `json:"text,omitempty"`
}
