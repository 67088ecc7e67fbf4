// Package ampytest tests services of ampy-bus against what a broker and a
// network do to them: duplicates, attempts that fail, processes that crash or
// stand still, outages, poison. It needs no broker: Run uses the in-memory one
// in virtual time.
//
//	func TestPositionsStandFaults(t *testing.T) {
//		ampytest.Run(t, ampytest.Plan{
//			Consumer: ampybus.Consumer{Pattern: "ampy.dev.fills.v1.>", Group: "positions"},
//			Message:  fill, // func(key string, n int) ampybus.Envelope
//		}, func(t *testing.T, trial *ampytest.Trial) func(*ampybus.Bus) ampybus.Handler {
//			db := openDatabase(t) // outlives a crash
//			return func(bus *ampybus.Bus) ampybus.Handler { // one process
//				return positions(db, trial.Effect)
//			}
//		})
//	}
//
// For scenarios of your own, on any transport, History notes what happens and
// Check finds what must not: messages lost, effects twice or out of order,
// commits of what is not finished, dead letters missing, twice or changed, gaps
// that nobody reported.
//
// It is for tests only: production code does not import it.
package ampytest
