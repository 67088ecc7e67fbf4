// Package chaos makes trouble for tests: a proxy that breaks connections, child
// processes that can be killed, stopped and ended, and a store that fences and
// dedupes, against which effects are judged. What happens is driven by
// progress and seeds, never by sleeping. It links no broker.
package chaos
