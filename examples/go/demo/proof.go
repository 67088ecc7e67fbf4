package main

import (
	"fmt"
	"io"
)

// ProofError says what did not hold.
type ProofError struct{ Failed []string }

func (e *ProofError) Error() string {
	return fmt.Sprintf("the proof fails (%d of its lines): %s", len(e.Failed), e.Failed[0])
}

// A check proves one claim: it returns the claim with its numbers, or an error
// that says what speaks against it.
type check func(*Evidence) (claim string, err error)

// checks are the proof. Each looks at what the broker holds, not at what the
// services say of themselves, except where it says so.
func checks() []check {
	return []check{
		everyDayIsStored, barsAreInOrder, everyBatchWasScored, everyScoreWasDecided,
		everyOrderHasItsDecision, everyOrderIsFilled, fillsFollowTheirOrders, positionsEqualTheFills,
		snapshotsGrow, deadLettersAreSettled, consumersSawEachKeyInOrder, faultsReallyHappened,
	}
}

// prove prints the verdict on each claim. The error is a *ProofError.
func (e *Evidence) prove(out io.Writer) error {
	var failed []string
	for _, check := range checks() {
		claim, err := check(e)
		if err != nil {
			failed = append(failed, err.Error())
			_, _ = fmt.Fprintln(out, "FAILED ", err)
			continue
		}
		_, _ = fmt.Fprintln(out, "proven ", claim)
	}
	if len(failed) > 0 {
		return &ProofError{failed}
	}
	_, _ = fmt.Fprintln(out, "\nnothing lost, nothing reordered, nothing applied twice")
	return nil
}
