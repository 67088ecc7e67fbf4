package driver

import "context"

// TopicLimited is a Transport whose topics have limits of their own, below or
// above those of the broker.
type TopicLimited interface {
	// ValueLimit reports how many bytes of value r's topic takes, with r's key
	// and headers. While that is not known and ask is set it asks, until ctx ends,
	// and may make the topic, as Publish does; false: it is still not known.
	ValueLimit(ctx context.Context, r *Record, ask bool) (int, bool)
}
