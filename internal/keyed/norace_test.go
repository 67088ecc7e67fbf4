//go:build !race

package keyed_test

// defaultSeeds takes a few seconds on two cores.
const defaultSeeds = 3000
