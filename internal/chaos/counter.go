package chaos

import (
	"context"
	"sync"
)

// Counter counts progress that others wait for. The zero value is ready.
type Counter struct {
	mu      sync.Mutex
	n       int
	changed chan struct{} // closed and replaced when n grows
}

// Add adds n.
func (c *Counter) Add(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n += n
	if c.changed != nil {
		close(c.changed)
		c.changed = nil
	}
}

// Value is the count.
func (c *Counter) Value() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

// Await waits until the count is at least n; false when ctx ended first.
func (c *Counter) Await(ctx context.Context, n int) bool {
	for {
		c.mu.Lock()
		if c.n >= n {
			c.mu.Unlock()
			return true
		}
		if c.changed == nil {
			c.changed = make(chan struct{})
		}
		changed := c.changed
		c.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}
