package driver

import "context"

// TopicLimited is a Transport whose topics have limits of their own, below or
// above those of the broker.
type TopicLimited interface {
	// ValueLimit reports how many bytes of value r's topic takes, with r's key
	// and headers. While that is not known it asks, until ctx ends; false: it is
	// still not known. It may make the topic, as Publish does.
	ValueLimit(ctx context.Context, r *Record) (int, bool)
}
