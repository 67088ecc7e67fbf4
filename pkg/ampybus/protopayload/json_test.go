package protopayload

import (
	"errors"
	"strings"
	"testing"

	barsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/bars/v1"
	"google.golang.org/protobuf/proto"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

func TestFromJSONReadsBothSpellingsAndTheAliases(t *testing.T) {
	a, errA := FromJSON("ampy.fills.v1.Fill", []byte(`{"accountId":"A"}`))
	b, errB := FromJSON("ampy.fills.v1.FillEvent", []byte(`{"account_id":"A"}`))
	if errA != nil || errB != nil || !proto.Equal(a, b) {
		t.Errorf("%v %v, %v %v", a, errA, b, errB)
	}
}

func TestFromJSONRefusesWhatProtobufWouldNotSay(t *testing.T) {
	for name, text := range map[string]string{
		"duplicate key":   `{"volume":"1","volume":"2"}`,
		"unknown field":   `{"wolume":"1"}`,
		"trailing data":   `{} {}`,
		"invalid UTF-8":   "{\"adjustmentPolicyId\":\"\xff\"}",
		"scale":           `{"open":{"scaled":"1","scale":30}}`,
		"depth":           strings.Repeat(`{"open":`, 10_000),
		"year 10000":      `{"start":"10000-01-01T00:00:00Z"}`,
		"integer as text": `{"volume":"one"}`,
	} {
		var fault *ampybus.FieldError
		if m, err := FromJSON("ampy.bars.v1.Bar", []byte(text)); !errors.As(err, &fault) || fault.Field != "payload" {
			t.Errorf("%s: %v, %v", name, m, err)
		}
	}
	if _, err := FromJSON("nothing", []byte(`{}`)); !errors.Is(err, ErrUnknownSchema) {
		t.Errorf("got %v", err)
	}
}

func TestToJSONWritesTheSameBytesEachTime(t *testing.T) {
	m := &barsv1.Bar{Volume: 1, TradeCount: 2, Adjusted: true}
	want, err := ToJSON(m)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != "{\n  \"volume\": \"1\",\n  \"tradeCount\": \"2\",\n  \"adjusted\": true\n}" {
		t.Errorf("got %s", want)
	}
}
