package kafkabinding

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// Headers that the mapping needs. A bus record carries its topic in "topic" and
// its publish id mostly in "message_id"; only what these do not say is written
// under names of the transport's own, which receivers never see.
const (
	headerTopic     = "topic"
	headerMessageID = "message_id"
	// headerPartitionKey mostly repeats the record's key.
	headerPartitionKey = "partition_key"
	ownTopic           = "ampy_bus_topic"
	ownID              = "ampy_bus_id"
)

// encode fills s.rec, without copies: it has the bytes of rec's strings, which
// the client only reads.
func (s *sending) encode(rec *driver.Record, kafkaTopic string) {
	needTopic, needID := true, rec.ID != ""
	hs := slices.Grow(s.rec.Headers[:0], len(rec.Headers)+2)
	for i := range rec.Headers {
		h := &rec.Headers[i]
		hs = append(hs, kgo.RecordHeader{Key: h.Name, Value: bytesOf(h.Value)})
		switch h.Name { // of a repeated name the last one counts
		case headerTopic:
			needTopic = h.Value != rec.Topic
		case headerMessageID:
			needID = rec.ID != "" && h.Value != rec.ID
		}
	}
	if needTopic && kafkaTopic != rec.Topic {
		hs = append(hs, kgo.RecordHeader{Key: ownTopic, Value: bytesOf(rec.Topic)})
	}
	if needID {
		hs = append(hs, kgo.RecordHeader{Key: ownID, Value: bytesOf(rec.ID)})
	}
	s.rec = kgo.Record{Topic: kafkaTopic, Key: bytesOf(rec.Key), Value: rec.Value, Headers: hs}
}

// bytesOf is v for who only reads it. It is never nil: Kafka tells no value from
// an empty one.
func bytesOf(v string) []byte {
	if v == "" {
		return []byte{}
	}
	return unsafe.Slice(unsafe.StringData(v), len(v)) //nolint:gosec // nobody writes to it
}

// size is what a record counts against the limit.
func size(rec *driver.Record) int {
	n := len(rec.Key) + len(rec.Value)
	for i := range rec.Headers {
		n += len(rec.Headers[i].Name) + len(rec.Headers[i].Value) + perHeader
	}
	return n
}

// busTopic is the first name that can be the record's: one that this Kafka
// topic holds. A header that names another domain is not believed.
func busTopic(kafkaTopic string, names ...string) string {
	for _, name := range names {
		if name == kafkaTopic || len(name) > len(kafkaTopic)+1 && name[len(kafkaTopic)] == '.' && name[:len(kafkaTopic)] == kafkaTopic {
			return name
		}
	}
	return kafkaTopic
}

// logName is the name of a partition, as a log and as a lane.
func logName(topic string, partition int32) string {
	return topic + ":" + strconv.Itoa(int(partition))
}

// parseLog is the reverse of logName.
func parseLog(log string) (topic string, partition int32) {
	i := strings.LastIndexByte(log, ':')
	if i <= 0 {
		return "", 0
	}
	n, _ := strconv.ParseInt(log[i+1:], 10, 32) // logName wrote it
	return log[:i], int32(n)
}

// millis is the first whole millisecond at or after t: Kafka's times have no
// finer parts.
func millis(t time.Time) int64 {
	ms := t.UnixMilli()
	if time.UnixMilli(ms).Before(t) {
		ms++
	}
	return ms
}
