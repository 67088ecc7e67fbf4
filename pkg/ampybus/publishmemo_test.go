package ampybus

import (
	"testing"

	"pgregory.net/rapid"
)

// What was in order before must not excuse the next message.
func TestPublishingFindsTheFaultsThatValidateFinds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		for range perCheck {
			var m publishMemo
			e := genEnvelope().Draw(t, "envelope")
			for range 2 {
				if err := m.validate(&e); err != nil {
					t.Fatal(err)
				}
			}
			genBreakage().Draw(t, "breakage").apply(t, &e)
			got, want := m.validate(&e), e.Validate()
			if (got == nil) != (want == nil) || got != nil && got.Error() != want.Error() {
				t.Fatalf("after a legal one, %+v has the faults\n%v\nwant\n%v", e, got, want)
			}
		}
	})
}
