package kafkabinding

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// kafkaTopic is a Kafka topic that this transport publishes to.
type kafkaTopic struct {
	name      string
	ids       *idTable
	maxRecord int      // bytes
	logs      sync.Map // partition to the name of its log
}

// log is logName, made once for each partition.
func (kt *kafkaTopic) log(partition int32) string {
	if name, ok := kt.logs.Load(partition); ok {
		return name.(string)
	}
	name := logName(kt.name, partition)
	kt.logs.Store(partition, name)
	return name
}

// topicTable knows the Kafka topics that exist. The first publish to each asks
// for it, makes it where it is missing, and looks back in it.
type topicTable struct {
	t      *Transport
	known  atomic.Pointer[map[string]*kafkaTopic]
	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup // of publishes that wait for a topic

	mu      sync.Mutex
	finding map[string]*finding
}

type finding struct {
	done  chan struct{}
	topic *kafkaTopic
	err   error
}

func newTopicTable(t *Transport) *topicTable {
	tt := &topicTable{t: t, finding: make(map[string]*finding)}
	tt.known.Store(&map[string]*kafkaTopic{})
	tt.ctx, tt.cancel = context.WithCancel(context.Background())
	return tt
}

func (tt *topicTable) close() {
	tt.mu.Lock()
	tt.cancel()
	tt.mu.Unlock()
	tt.work.Wait()
}

// later runs f, which finds a topic, beside the caller. Nothing new begins
// behind close: there f runs at once, and finds none.
func (tt *topicTable) later(f func()) {
	tt.mu.Lock()
	closed := tt.ctx.Err() != nil
	if !closed {
		tt.work.Go(f)
	}
	tt.mu.Unlock()
	if closed {
		f()
	}
}

// lookup is the topic if it is known already.
func (tt *topicTable) lookup(name string) *kafkaTopic { return (*tt.known.Load())[name] }

// find returns the topic, asking the cluster once for all who ask here.
func (tt *topicTable) find(name string) (*kafkaTopic, error) {
	tt.mu.Lock()
	if kt := tt.lookup(name); kt != nil {
		tt.mu.Unlock()
		return kt, nil
	}
	f := tt.finding[name]
	first := f == nil
	if first {
		f = &finding{done: make(chan struct{})}
		tt.finding[name] = f
	}
	tt.mu.Unlock()
	if !first {
		<-f.done
		return f.topic, f.err
	}
	f.topic, f.err = tt.prepare(name)
	tt.mu.Lock()
	if f.err == nil {
		m := maps.Clone(*tt.known.Load())
		m[name] = f.topic
		tt.known.Store(&m)
	}
	delete(tt.finding, name)
	tt.mu.Unlock()
	close(f.done)
	return f.topic, f.err
}

// await is find until ctx ends; nil where the topic is not known then.
func (tt *topicTable) await(ctx context.Context, name string) *kafkaTopic {
	found := make(chan *kafkaTopic, 1)
	tt.later(func() {
		kt, _ := tt.find(name) // the publish that follows tells why
		found <- kt
	})
	select {
	case kt := <-found:
		return kt
	case <-ctx.Done():
		return nil
	}
}

// prepare makes sure that the topic exists, and learns the IDs at its end.
func (tt *topicTable) prepare(name string) (*kafkaTopic, error) {
	ctx, cancel := context.WithTimeout(tt.ctx, tt.t.cfg.AckTimeout)
	defer cancel()
	if err := tt.t.ensureTopic(ctx, name); err != nil {
		if tt.ctx.Err() != nil {
			return nil, fmt.Errorf("%w: nothing was sent", driver.ErrUncertain)
		}
		return nil, err
	}
	tt.t.askTopic(ctx, name)
	kt := &kafkaTopic{name: name, ids: newIDTable(), maxRecord: recordBytes(tt.t.batches.of(name))}
	if err := tt.t.learnIDs(ctx, kt); err != nil {
		if isOutage(err) || errors.Is(err, context.DeadlineExceeded) {
			return nil, requestError("look back in "+name, err)
		}
		tt.t.log.Info("kafka: repeats of records from before this connection are not recognised; consumers dedupe by message_id",
			"topic", name, "reason", err)
	}
	return kt, nil
}

// metadataOf asks for topics by name, none where none is named.
func metadataOf(names ...string) *kmsg.MetadataRequest {
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{}
	for _, name := range names {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = kmsg.StringPtr(name)
		req.Topics = append(req.Topics, t)
	}
	return req
}

// ensureTopic returns when the topic exists and has leaders.
func (t *Transport) ensureTopic(ctx context.Context, name string) error {
	for made := false; ; {
		exists, err := t.hasTopic(ctx, name)
		if exists || err != nil {
			return err
		}
		if !made {
			if err := t.makeTopic(ctx, name); err != nil {
				return err
			}
			made = true
		}
		if pause(ctx, t.cfg.minAge); ctx.Err() != nil {
			return requestError("wait for topic "+name, ctx.Err())
		}
	}
}

func (t *Transport) hasTopic(ctx context.Context, name string) (bool, error) {
	resp, err := metadataOf(name).RequestWith(ctx, t.cl)
	if err != nil {
		return false, requestError("look for topic "+name, err)
	}
	for _, topic := range resp.Topics {
		switch err := kerr.ErrorForCode(topic.ErrorCode); {
		case err == nil:
			return len(topic.Partitions) > 0, nil
		case errors.Is(err, kerr.UnknownTopicOrPartition), errors.Is(err, kerr.LeaderNotAvailable):
			return false, nil
		default:
			return false, requestError("look for topic "+name, err)
		}
	}
	return false, nil
}

// makeTopic creates a topic with what its domain's policy asks for.
func (t *Transport) makeTopic(ctx context.Context, name string) error {
	if t.cfg.NoCreate {
		return fmt.Errorf("topic %s does not exist, and may not be made: %w", name, driver.ErrNoLog)
	}
	err := t.CreateTopic(ctx, name)
	if err == nil || errors.Is(err, kerr.TopicAlreadyExists) {
		return nil
	}
	if isDenied(err) {
		return fmt.Errorf("topic %s does not exist, and this identity may not create it: %w: %w", name, driver.ErrPermission, err)
	}
	return requestError("create topic "+name, err)
}

// CreateTopic creates a Kafka topic with the partitions and replicas of the
// Config and the retention of its domain's policy. One that exists is
// kerr.TopicAlreadyExists.
func (t *Transport) CreateTopic(ctx context.Context, name string) error {
	replicas := int16(t.cfg.Replicas)
	if replicas == 0 {
		replicas = -1 // the cluster's default.replication.factor
	}
	resp, err := t.adm.CreateTopic(ctx, int32(t.cfg.Partitions), replicas, t.topicConfig(name), name)
	if err == nil {
		err = resp.Err
	}
	if err != nil && resp.ErrMessage != "" {
		return fmt.Errorf("%w (%s)", err, resp.ErrMessage)
	}
	return err
}

// inSync of three or more replicas must hold a record before it is
// acknowledged.
const inSync = "2"

// topicConfig makes the broker's time the record's time, so that windows of
// history mean what they say, and keeps records as long as the policy asks.
func (t *Transport) topicConfig(name string) map[string]*string {
	c := map[string]*string{
		"cleanup.policy":         kadm.StringPtr("delete"),
		"message.timestamp.type": kadm.StringPtr("LogAppendTime"),
	}
	if p, ok := ampybus.PolicyFor(domainOf(name)); ok && p.Retention > 0 {
		c["retention.ms"] = kadm.StringPtr(strconv.FormatInt(int64(p.Retention/time.Millisecond), 10))
	}
	if t.cfg.Replicas >= 3 {
		c["min.insync.replicas"] = kadm.StringPtr(inSync)
	}
	return c
}

// domainOf is the third token of a topic.
func domainOf(topic string) string {
	dots, from := 0, 0
	for i := range len(topic) {
		if topic[i] != '.' {
			continue
		}
		if dots++; dots == 3 {
			return topic[from:i]
		}
		from = i + 1
	}
	return ""
}
