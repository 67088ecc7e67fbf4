package brokertest

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Admin does something to a Kafka, at addrs, past what a test puts between.
func Admin(tb testing.TB, addrs []string, f func(context.Context, *kadm.Client) error) {
	tb.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(addrs...), kgo.MetadataMinAge(10*time.Millisecond))
	if err != nil {
		tb.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(context.Background(), kafkaReady)
	defer cancel()
	if err := f(ctx, kadm.NewClient(cl)); err != nil {
		tb.Fatal(err)
	}
}

// Warm stores a record and lets a group commit, so that the first test does not
// wait for a cold JVM and for topics that Kafka makes for itself.
func (c *KafkaCluster) Warm(tb testing.TB) {
	tb.Helper()
	Admin(tb, c.Addrs(), func(ctx context.Context, adm *kadm.Client) error {
		if _, err := adm.CreateTopic(ctx, 1, -1, nil, warmTopic); err != nil {
			return err
		}
		cl, err := kgo.NewClient(kgo.SeedBrokers(c.Addrs()...), kgo.ConsumerGroup(warmTopic), kgo.ConsumeTopics(warmTopic))
		if err != nil {
			return err
		}
		defer cl.CloseAllowingRebalance()
		if err := cl.ProduceSync(ctx, &kgo.Record{Topic: warmTopic}).FirstErr(); err != nil {
			return err
		}
		if err := cl.PollFetches(ctx).Err(); err != nil {
			return err
		}
		return cl.CommitUncommittedOffsets(ctx)
	})
	c.Empty(tb)
}

const warmTopic = "warm"

// Empty removes all topics and groups, so that tests can share a cluster:
// starting one takes seconds.
func (c *KafkaCluster) Empty(tb testing.TB) {
	tb.Helper()
	Admin(tb, c.Addrs(), func(ctx context.Context, adm *kadm.Client) error {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			topics, err := adm.ListTopics(ctx)
			groups, err2 := adm.ListGroups(ctx)
			if err == nil && err2 == nil && len(topics) == 0 && len(groups) == 0 {
				return nil
			}
			if len(topics) > 0 {
				_, _ = adm.DeleteTopics(ctx, topics.Names()...) // asked again
			}
			if len(groups) > 0 {
				_, _ = adm.DeleteGroups(ctx, groups.Groups()...) // asked again: members may still be leaving
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	})
}
