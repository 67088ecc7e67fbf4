package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/kafkabinding"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/natsbinding"
)

// rig is what a point is measured on: a broker, and how to reach it.
type rig struct {
	servers []*server
	kafka   options
	topics  []string // on Kafka, to be deleted
	held    int      // records stored by the points before, where the sweep keeps a server
	url     string
}

func (o options) newRig(ctx context.Context, s sweep) (*rig, error) {
	r := &rig{kafka: o}
	if s.kafka {
		if o.kafka == "" {
			return nil, errors.New("say where Kafka is with -kafka")
		}
		return r, nil
	}
	var err error
	if s.nodes > 1 {
		r.servers, err = startCluster(ctx, o.dir, s.nodes)
	} else {
		var one *server
		if one, err = startServer(ctx, o.dir, serverSpec{Sync: s.sync}); one != nil {
			r.servers = []*server{one}
		}
	}
	if err != nil {
		r.close()
		return nil, err
	}
	r.url = r.servers[0].url
	return r, nil
}

func (r *rig) close() {
	for _, s := range r.servers {
		s.close()
	}
	if len(r.topics) > 0 {
		_ = r.deleteTopics() // it is only disk
	}
}

// quiet keeps the servers' adopted streams and lost leaders out of the output.
func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// nats connects a bus to the rig's server.
func (r *rig) nats(c natsbinding.Config) (*ampybus.Bus, error) {
	c.URL, c.Logger = r.url, quiet()
	return natsbinding.Connect(c)
}

// onKafka connects to the running Kafka, where a topic of its own is deleted in
// the end. LayoutFull keeps the sweep's records apart from others'.
func (r *rig) onKafka(topic string, partitions int, o ampybus.Observer) (*ampybus.Bus, error) {
	if !slices.Contains(r.topics, topic) {
		r.topics = append(r.topics, topic)
	}
	return kafkabinding.Connect(kafkabinding.Config{
		Brokers: []string{r.kafka.kafka}, Layout: kafkabinding.LayoutFull, Partitions: partitions, Logger: quiet(),
		Bus: ampybus.Options{Observer: o},
	})
}

func (r *rig) deleteTopics() error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(r.kafka.kafka))
	if err != nil {
		return fmt.Errorf("delete topics: %w", err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, err = kadm.NewClient(cl).DeleteTopics(ctx, r.topics...)
	return err
}

// broker is what the servers have used and hold together.
func (r *rig) broker() (sum footprint, err error) {
	if r.kafka.brokerPID > 0 && len(r.servers) == 0 {
		return footprint{CPU: cpuOf(r.kafka.brokerPID), Resident: residentOf(r.kafka.brokerPID)}, nil
	}
	for _, s := range r.servers {
		f, err := s.footprint()
		if err != nil {
			return sum, err
		}
		sum.CPU += f.CPU
		sum.Collecting += f.Collecting
		sum.Heap += f.Heap
		sum.Resident += f.Resident
		sum.Requests += f.Requests
	}
	return sum, nil
}
