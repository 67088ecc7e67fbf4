package bars

import (
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"time"

	barsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/bars/v1"
	commonv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/common/v1"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/AmpyFin/ampy-bus/examples/go/service"
)

// closingHour is 16:00 in New York in winter, in UTC. The files have dates only.
const closingHour = 21

// The columns of the files.
const (
	colDate = iota
	colOpen
	colHigh
	colLow
	colClose
	colAdjClose
	colVolume
	columns
)

// Load reads the daily bars of one file, at most limit; 0: all.
func Load(fsys fs.FS, name string, security *commonv1.SecurityId, limit int) ([]*barsv1.Bar, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, fmt.Errorf("load bars: %w", err)
	}
	defer func() { _ = f.Close() }()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", name, err)
	}
	r := csv.NewReader(z)
	r.FieldsPerRecord = columns
	if _, err := r.Read(); err != nil {
		return nil, fmt.Errorf("load %s: header: %w", name, err)
	}
	var days []*barsv1.Bar
	for limit == 0 || len(days) < limit {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("load %s: %w", name, err)
		}
		day, err := parse(row, security)
		if err != nil {
			return nil, fmt.Errorf("load %s: day %s: %w", name, row[colDate], err)
		}
		days = append(days, day)
	}
	return days, nil
}

// parse makes a bar of one row. Its event time is the close; its as_of is the
// same, because the files say nothing of later corrections.
func parse(row []string, security *commonv1.SecurityId) (*barsv1.Bar, error) {
	day, err := time.Parse("1/2/2006", row[colDate])
	if err != nil {
		return nil, err
	}
	var prices [columns]*commonv1.Decimal
	for i := colOpen; i <= colAdjClose; i++ {
		if prices[i], err = price(row[i]); err != nil {
			return nil, err
		}
	}
	volume, err := strconv.ParseInt(row[colVolume], 10, 64)
	if err != nil {
		return nil, err
	}
	closing := timestamppb.New(day.Add(closingHour * time.Hour))
	return &barsv1.Bar{
		Security: security,
		Start:    timestamppb.New(day), End: timestamppb.New(day.AddDate(0, 0, 1)),
		Open: prices[colOpen], High: prices[colHigh], Low: prices[colLow], Close: prices[colClose],
		Volume:    volume,
		EventTime: closing, AsOf: closing,
		AdjustmentPolicy: commonv1.AdjustmentPolicy_ADJUSTMENT_POLICY_RAW,
	}, nil
}

// price reads decimal digits exactly.
func price(text string) (*commonv1.Decimal, error) {
	whole, fraction, _ := strings.Cut(text, ".")
	scaled, err := strconv.ParseInt(whole+fraction, 10, 64)
	if err != nil {
		return nil, err
	}
	micros, err := service.Micros(&commonv1.Decimal{Scaled: scaled, Scale: int32(len(fraction))})
	if err != nil {
		return nil, err
	}
	return service.Price(micros), nil
}
