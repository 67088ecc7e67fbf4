package ampybus

import "time"

// Observer sees what the bus does: for metrics, logs and traces. Its methods
// are called on hot paths from several goroutines; they must be quick and must
// not call the bus. No method is handed a payload.
type Observer interface {
	// Published is called once for each message handed to the bus.
	Published(PublishEvent)
	// Consumed is called at the end of each attempt on a delivered message.
	Consumed(ConsumeEvent)
	// Noticed is called for what an operator should know.
	Noticed(Notice)
}

// PublishEvent is the end of one publish.
type PublishEvent struct {
	Topic     string
	MessageID string
	Producer  string
	Bytes     int    // as stored
	Attempts  int    // 1 without a retry
	Duplicate bool   // the broker already held it, when it tells
	Log       string // where it is stored, when the broker tells
	Pos       uint64
	Took      time.Duration // from the call to the broker's word
	Err       error         // nil: stored; ErrUncertain: may be stored
}

// Result of an attempt on a message.
type Result string

// Results, as logs and metrics name them (specification §11).
const (
	ResultOK        Result = "ok"
	ResultRetry     Result = "retry"
	ResultDead      Result = "dlq"
	ResultDuplicate Result = "duplicate"
	ResultReleased  Result = "released" // shutdown or loss of the lane: another attempt follows elsewhere
)

// ConsumeEvent is the end of one attempt.
type ConsumeEvent struct {
	Group   string
	Message *Message // never nil; Payload may be nil; not to be kept or changed
	Result  Result
	Reason  string        // code of a retry or dead letter
	Took    time.Duration // the handler's time
	// Latency is from produced_at to the handler's start; only as good as the
	// producer's clock. Zero: the message does not say when it was produced.
	Latency time.Duration
	Err     error
}

// NoticeKind names what was noticed.
type NoticeKind string

// Kinds of notice.
const (
	NoticeAssigned     NoticeKind = "lane_assigned"
	NoticeLost         NoticeKind = "lane_lost"
	NoticeGap          NoticeKind = "data_gap"
	NoticeTrouble      NoticeKind = "broker_trouble"
	NoticeDLQBlocked   NoticeKind = "dlq_blocked"
	NoticePaused       NoticeKind = "consumer_paused"
	NoticeResumed      NoticeKind = "consumer_resumed"
	NoticeParked       NoticeKind = "key_parked"
	NoticeReleased     NoticeKind = "key_released"
	NoticeCommitFailed NoticeKind = "commit_failed"
	NoticeDrain        NoticeKind = "drain_incomplete"
	NoticeReader       NoticeKind = "reader_error"
	NoticeAdopted      NoticeKind = "stream_adopted"
)

// Notice is something an operator should know.
type Notice struct {
	Kind  NoticeKind
	Group string
	Lane  string
	Key   string
	Text  string
	Err   error
}

// Observers joins several into one.
func Observers(os ...Observer) Observer { return observers(os) }

type observers []Observer

func (os observers) Published(e PublishEvent) {
	for _, o := range os {
		o.Published(e)
	}
}

func (os observers) Consumed(e ConsumeEvent) {
	for _, o := range os {
		o.Consumed(e)
	}
}

func (os observers) Noticed(n Notice) {
	for _, o := range os {
		o.Noticed(n)
	}
}
