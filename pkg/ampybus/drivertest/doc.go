// Package drivertest holds the promises of the driver seam as tests. A
// transport that passes Run can carry the bus; there are no optional promises,
// and nothing above the seam asks which broker is below it.
//
// It is not a load test and not a chaos test: each promise is one small story
// with the fault that would break it. An author of a transport writes a Broker
// for it and one test:
//
//	func TestPromises(t *testing.T) {
//		drivertest.Run(t, drivertest.Harness{Start: startBroker})
//	}
//
// and runs one promise with
//
//	go test -run TestPromises/CrashKeepsOrder
//
// The tests wait for events, with a deadline that only a failure reaches. That
// something does not happen is watched for a short while (Harness.Quiet), so a
// broken transport may pass by luck, and a sound one does not fail by bad luck.
package drivertest
