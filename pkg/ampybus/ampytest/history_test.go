package ampytest

import (
	"bytes"
	"reflect"
	"testing"
	"time"
)

func TestAHistoryOfAKilledProcessIsReadUpToItsTornEnd(t *testing.T) {
	h, err := NewHistory("ampy.dev.orders.v1.>", "g")
	if err != nil {
		t.Fatal(err)
	}
	start := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	for i, id := range []string{"a", "b", "c"} {
		h.Note(Event{At: start.Add(time.Duration(i)), Op: OpEffect, Phase: OK, Key: "k", ID: id, Lane: "l", Epoch: 1 << 60, Pos: uint64(i)})
	}
	var b bytes.Buffer
	if err := h.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	other, _ := NewHistory("ampy.dev.orders.v1.>", "g")
	other.Note(Event{At: start.Add(1), Op: OpFault})
	if err := other.ReadJSON(bytes.NewReader(b.Bytes()[:b.Len()-5])); err != nil {
		t.Fatal(err)
	}
	got, want := other.Events(), h.Events()
	if len(got) != 3 || got[1].Op != OpFault || !reflect.DeepEqual(got[2], want[1]) {
		t.Errorf("read %+v", got)
	}
}

func TestAPatternThatIsIllegalMakesNoHistory(t *testing.T) {
	if _, err := NewHistory("ampy.dev", "g"); err == nil {
		t.Error("no error")
	}
}
