// Package mutant is the seam through which tests break the code on purpose, to
// prove that a test can fail. Without the build tag "mutant" On is a constant
// false and the broken branches are compiled away.
//
//	AMPY_MUTANT=commit-next go test -tags mutant ./internal/keyed -run Simulation
package mutant
