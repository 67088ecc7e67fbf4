package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"testing"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

func TestFilesAreCurrent(t *testing.T) {
	files, err := generate()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join("..", "..", "contract", name))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("contract/%s is not current (%v): run go run ./internal/contractgen", name, err)
		}
	}
}

func TestWriteWritesWhatGenerateMakes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "contract")
	if err := write(dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"headers.json", "domains.json"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !json.Valid(b) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A column that is added to the table and forgotten here would not reach the
// other languages.
func TestEveryColumnIsWritten(t *testing.T) {
	for _, c := range []struct{ from, to any }{
		{ampybus.Policy{}, domain{}},
		{ampybus.Retry{}, retry{}},
		{ampybus.HeaderSpec{}, header{}},
	} {
		from, to := reflect.TypeOf(c.from), reflect.TypeOf(c.to)
		if from.NumField() != to.NumField() {
			t.Errorf("%v has %d fields, %v has %d", from, from.NumField(), to, to.NumField())
		}
	}
}

func TestTokenExpressionIsTheParsersOwn(t *testing.T) {
	token := regexp.MustCompile("^" + domains().Topic.Token + "$")
	for c := range 128 {
		_, err := ampybus.ParseTopic("ampy.prod.bars.v1.X" + string(rune(c)) + "X")
		if c != '.' && token.MatchString(string(rune(c))) != (err == nil) {
			t.Errorf("%q: the parser says %v", rune(c), err)
		}
	}
}
