package protopayload

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"

	barsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/bars/v1"
	commonv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/common/v1"
	metricsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/metrics/v1"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

const barBatch = "ampy.bars.v1.BarBatch"

func TestDecodeGivesBackWhatWasEncoded(t *testing.T) {
	want := &barsv1.BarBatch{Bars: []*barsv1.Bar{{Volume: 7, Open: &commonv1.Decimal{Scaled: -1, Scale: 18}}}}
	b, _ := Canonical(want)
	got, err := Decode(barBatch, b)
	if err != nil || !proto.Equal(got, want) {
		t.Fatalf("got %v, %v", got, err)
	}
}

func TestBytesThatAreNoSuchMessageArePoison(t *testing.T) {
	group := func(depth int) []byte {
		b := bytes.Repeat(protowire.AppendTag(nil, 99, protowire.StartGroupType), depth)
		return append(b, bytes.Repeat(protowire.AppendTag(nil, 99, protowire.EndGroupType), depth)...)
	}
	within := func(b []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), b)
	}
	for name, payload := range map[string][]byte{
		"text":                    []byte("this is not protobuf"),
		"truncated varint":        {0x08, 0x80},
		"length prefix of 2 GiB":  {0x0a, 0xff, 0xff, 0xff, 0xff, 0x07},
		"varint over 64 bits":     {0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02},
		"field number 0":          {0x00, 0x01},
		"wire type 7":             {0x0f},
		"end of no group":         {0x0c},
		"invalid UTF-8":           within(within([]byte{0x0a, 0x01, 0xff})),
		"10,000 nested groups":    group(10_000),
		"101 nested groups":       group(101),
		"nested groups in a bar":  within(group(101)),
		"unfinished nested group": group(101)[:120],
	} {
		m, err := Decode(barBatch, payload)
		var poison *ampybus.PoisonError
		if !errors.As(err, &poison) || poison.Code != "decode:proto" || m != nil {
			t.Errorf("%s: %v, %v", name, m, err)
		}
	}
	if _, err := Decode(barBatch, group(100)); err != nil {
		t.Errorf("100 nested groups: %v", err)
	}
}

func TestADecimalScaleOutOfRangeIsPoisonInTheWordsOfTheSpecification(t *testing.T) {
	for _, scale := range []int32{-1, 19, math.MinInt32, math.MaxInt32} {
		b, _ := Canonical(&barsv1.BarBatch{Bars: []*barsv1.Bar{{}, {Vwap: &commonv1.Decimal{Scaled: 1, Scale: scale}}}})
		_, err := Decode(barBatch, b)
		if err == nil || err.Error() != "decode_error: invalid decimal scale" {
			t.Fatalf("scale %d: %v", scale, err)
		}
		var cause *ScaleError
		if !errors.As(err, &cause) || cause.Path != "bars[1].vwap" || cause.Scale != scale {
			t.Errorf("scale %d: cause %+v", scale, cause)
		}
		var poison *ampybus.PoisonError
		if !errors.As(err, &poison) {
			t.Errorf("scale %d: %T is no poison", scale, err)
		}
	}
}

func TestAnUnknownSchemaIsNoPoison(t *testing.T) {
	var poison *ampybus.PoisonError
	if _, err := Decode("ampy.bars.v1.Candle", nil); !errors.Is(err, ErrUnknownSchema) || errors.As(err, &poison) {
		t.Errorf("got %v", err)
	}
}

func TestAPayloadOverTheLimitIsRefusedBeforeItIsRead(t *testing.T) {
	if _, err := Decode(barBatch, make([]byte, MaxBytes+1)); err == nil || !strings.Contains(err.Error(), "limit") {
		t.Errorf("got %v", err)
	}
}

func TestCheckNamesThePathOfEveryKindOfFault(t *testing.T) {
	for want, m := range map[string]proto.Message{
		"bars[0].open: invalid decimal scale": &barsv1.BarBatch{Bars: []*barsv1.Bar{{Open: &commonv1.Decimal{Scale: 19}}}},
		"start: invalid timestamp":            &barsv1.Bar{Start: &timestamppb.Timestamp{Seconds: math.MaxInt64}},
		"metrics[1].value: not a number":      &metricsv1.MetricBatch{Metrics: []*metricsv1.Metric{{}, {Value: math.NaN()}}},
		"metrics[0].at: invalid timestamp":    &metricsv1.MetricBatch{Metrics: []*metricsv1.Metric{{At: &timestamppb.Timestamp{Nanos: -1}}}},
		"value: not a number":                 &metricsv1.Metric{Value: math.NaN()},
	} {
		var fault *ampybus.FieldError
		if err := Check(m); !errors.As(err, &fault) || fault.Field != "payload" || fault.Problem != want || fault.Fix == "" {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if err := Check(&metricsv1.Metric{Value: math.Inf(1), At: timestamppb.Now()}); err != nil {
		t.Errorf("got %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	for i, fqdn := range Schemas() {
		f.Add(i, []byte(fqdn))
	}
	f.Add(0, []byte{0x0a, 0x04, 0x0a, 0x02, 0x0a, 0x00})
	f.Add(0, []byte{0x0a, 0xff, 0xff, 0xff, 0xff, 0x07})
	f.Fuzz(func(t *testing.T, i int, payload []byte) {
		fqdn := Schemas()[uint(i)%uint(len(Schemas()))]
		m, err := Decode(fqdn, payload)
		if err != nil {
			return
		}
		first, err := Canonical(m)
		if err != nil {
			t.Fatalf("decoded, but not encoded: %v", err)
		}
		again, err := Decode(fqdn, first)
		if err != nil {
			t.Fatalf("canonical bytes do not decode: %v", err)
		}
		if second, _ := Canonical(again); !bytes.Equal(first, second) {
			t.Fatalf("canonical bytes change: %x, %x", first, second)
		}
		_, _ = FactsOf(ampybus.Topic{}, m)
		_ = Check(m)
	})
}

func FuzzFromJSON(f *testing.F) {
	f.Add(0, `{"bars":[{"open":{"scaled":"1","scale":19}}]}`)
	f.Add(0, strings.Repeat(`{"bars":[`, 120))
	f.Fuzz(func(t *testing.T, i int, text string) {
		fqdn := Schemas()[uint(i)%uint(len(Schemas()))]
		m, err := FromJSON(fqdn, []byte(text))
		if err != nil {
			return
		}
		b, err := ToJSON(m)
		if err != nil {
			t.Fatalf("read, but not written: %v", err)
		}
		again, err := FromJSON(fqdn, b)
		if err != nil || !proto.Equal(m, again) {
			t.Fatalf("JSON does not read back: %v\n%s", err, b)
		}
	})
}
