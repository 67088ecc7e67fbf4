package keyed_test

import (
	"fmt"
	"strings"
	"testing"
)

// counter names what a run has met. A simulation that met too little of it
// proves nothing.
type counter int

const (
	steps counter = iota
	records
	crashes
	takeovers
	sameMember
	resumes
	handOvers
	stale
	fencedWrites
	fencedCommits
	commits
	lostCommitAcks
	lostEffectAcks
	lostLetterAcks
	dlqRefused
	letters
	dead
	parkedDead
	releases
	retries
	uncounted
	returned
	refusedAdds
	deduped
	pausedItems
	pausedBytes
	pausedSpan
	committedEarly
	nCounters
)

var counterNames = [nCounters]string{
	steps:          "steps",
	records:        "records",
	crashes:        "crashes",
	takeovers:      "takeovers",
	sameMember:     "same member",
	resumes:        "resumes",
	handOvers:      "hand overs",
	stale:          "stale",
	fencedWrites:   "fenced writes",
	fencedCommits:  "fenced commits",
	commits:        "commits",
	lostCommitAcks: "lost commit acks",
	lostEffectAcks: "lost effect acks",
	lostLetterAcks: "lost letter acks",
	dlqRefused:     "dlq refused",
	letters:        "letters",
	returned:       "returned",
	dead:           "dead",
	parkedDead:     "parked dead",
	releases:       "releases",
	retries:        "retries",
	uncounted:      "uncounted",
	refusedAdds:    "refused adds",
	deduped:        "deduped",
	pausedItems:    "paused items",
	pausedBytes:    "paused bytes",
	pausedSpan:     "paused span", committedEarly: "records committed among faults",
}

type counts [nCounters]int

func (c *counts) add(o counts) {
	for i := range o {
		c[i] += o[i]
	}
}

func (c counts) String() string {
	var b strings.Builder
	for i, n := range c {
		fmt.Fprintf(&b, "%s %d, ", counterNames[i], n)
	}
	return strings.TrimSuffix(b.String(), ", ")
}

// demanded is what 100 worlds must meet at least: about half of what they do.
var demanded = counts{
	steps:          400000,
	records:        2000,
	crashes:        1000,
	takeovers:      6000,
	sameMember:     3000,
	resumes:        900,
	handOvers:      400,
	stale:          100,
	fencedWrites:   800,
	fencedCommits:  700,
	commits:        1000,
	lostCommitAcks: 200,
	lostEffectAcks: 200,
	lostLetterAcks: 30,
	dlqRefused:     500,
	letters:        300,
	dead:           200,
	parkedDead:     100,
	releases:       50,
	retries:        400,
	returned:       400,
	uncounted:      200,
	refusedAdds:    2000,
	deduped:        3000,
	pausedItems:    300,
	pausedBytes:    100,
	pausedSpan:     100,
	committedEarly: 2000,
}

// demandFaults fails a simulation of n worlds that met too little.
func demandFaults(t *testing.T, c counts, n int) {
	t.Helper()
	for i, got := range c {
		if want := demanded[i] * n / 100; got < want {
			t.Errorf("%s: %d in %d worlds, want at least %d", counterNames[i], got, n, want)
		}
	}
}
