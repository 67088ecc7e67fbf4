package ampytest_test

import "testing"

func TestTheExampleStandsAllFaults(t *testing.T) { testPositions(t) }
