// Package keyed is the key-ordered core of a consumer: it decides which message
// may run next and which position may be committed. It is a pure state machine
// without clock, I/O or goroutine, so that a simulation can drive it through
// any history. It does not fetch, run handlers, store dead letters or commit.
//
// The rules: a key runs one item at a time, in log order, also across retries;
// a failing item holds back its own key only; keys take turns; everything below
// Low is finished; what a former owner of a lane reports is forgotten.
//
//	c := keyed.New[*Message](keyed.Config{})
//	c.Assign("orders", epoch, from)
//	c.Add(keyed.Item[*Message]{Lane: "orders", Epoch: epoch, Pos: 7, Key: "AAPL", Value: m})
//	t, ok := c.Next(now)                                // run t.Value
//	c.Finish(t, keyed.Verdict{Outcome: keyed.Done}, now)
//	low, epoch, ok := c.Low("orders")                   // commit low
package keyed
