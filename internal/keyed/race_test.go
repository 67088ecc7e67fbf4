//go:build race

package keyed_test

// defaultSeeds is small under the race detector: a world has one goroutine.
const defaultSeeds = 300
