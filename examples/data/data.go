// Package data carries the market data of the examples inside the program, so
// that they run from any directory. README.md has its source and licence.
package data

import "embed"

// Files holds nasdaq.csv.gz and sp500.csv.gz: daily bars of the NASDAQ
// Composite and the S&P 500, 1999 to 2018.
//
//go:embed nasdaq.csv.gz sp500.csv.gz
var Files embed.FS
