// Package delivery holds the tests of the delivery promises that cross
// packages: publishing, takeovers, retries, dead letters and shutdown under
// faults, on the in-memory broker in virtual time, on real nats-servers and on
// Kafka, embedded and real. Its figures are scaled for every run of go test;
// AMPY_FULL=1 runs the full ones. Each test states how many faults must have
// happened, and fails below that.
package delivery
