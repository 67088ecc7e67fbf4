package chaos

import (
	"strings"
	"testing"
)

func TestARowReplacesTheOlderOneOfItsName(t *testing.T) {
	page := "# Page\n" + figuresBegin + figuresEnd + "\nmore\n"
	for _, row := range []string{"| a | 1 |\n", "| b | 2 |\n", "| a | 3 |\n"} {
		text, err := withRow(page, row[2:3], row)
		if err != nil {
			t.Fatal(err)
		}
		page = string(text)
	}
	want := "# Page\n" + figuresBegin + figuresHead + "| a | 3 |\n| b | 2 |\n" + figuresEnd + "\nmore\n"
	if page != want {
		t.Errorf("page:\n%s", page)
	}
	if _, err := withRow("no table", "a", "| a |\n"); err == nil || !strings.Contains(err.Error(), "no table") {
		t.Errorf("a page without a table: %v", err)
	}
}
