package natsbinding

import (
	"strings"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// Layout says which stream holds a topic. The transport asks it instead of
// knowing domains. Its functions are called from several goroutines.
type Layout struct {
	// Scope is the leading part of a topic that decides its stream. It must
	// not allocate: it runs for every publish. Empty: no stream is made.
	Scope func(topic string) string
	// Stream describes a scope's stream; false: none is made for it.
	Stream func(scope string) (Stream, bool)
	// Scopes lists the scopes whose streams a group on pattern needs at once.
	Scopes func(pattern string) []string
}

// Stream is a stream as a layout wants it.
type Stream struct {
	Name     string        // legal for NATS: no dots, spaces, slashes or wildcards
	Subject  string        // what it holds, such as ampy.prod.orders.>
	MaxAge   time.Duration // how long a record is kept; 0: for ever
	Window   time.Duration // how long publish ids are remembered
	Replicas int           // in a cluster that is large enough; 0: 1
}

// DefaultLayout is a stream per environment and domain: AMPY_PROD_ORDERS holds
// ampy.prod.orders.>, with the retention, the dedupe window and the replicas of
// the domain's policy.
func DefaultLayout() *Layout {
	return &Layout{Scope: domainScope, Stream: domainStream, Scopes: concreteScopes}
}

// domainScope cuts a topic behind its domain: ampy.prod.orders.
func domainScope(topic string) string {
	dots := 0
	for i := range len(topic) {
		if topic[i] != '.' {
			continue
		}
		if dots++; dots == 3 {
			return topic[:i]
		}
	}
	return ""
}

func domainStream(scope string) (Stream, bool) {
	tokens := strings.Split(scope, ".")
	if len(tokens) != 3 {
		return Stream{}, false
	}
	p, ok := ampybus.PolicyFor(tokens[2])
	if !ok {
		return Stream{}, false
	}
	return Stream{
		Name:     strings.ToUpper(strings.Join(tokens, "_")),
		Subject:  scope + ".>",
		MaxAge:   p.Retention,
		Window:   p.DedupeWindow,
		Replicas: p.Replicas,
	}, true
}

// concreteScopes is the one scope of a pattern that names an environment and a
// domain; a wider pattern takes the streams that exist.
func concreteScopes(pattern string) []string {
	p, err := ampybus.ParsePattern(pattern)
	if err != nil {
		return nil
	}
	s := p.Scopes()
	if len(s) != 1 {
		return nil
	}
	return []string{"ampy." + s[0].Env + "." + s[0].Domain}
}
