// Package chaos holds the long runs of `make chaos`: consumers and servers in
// processes of their own that are killed and stopped again and again. It is
// built with the tag "chaos" only. Figures go to docs/testing.md.
package chaos
