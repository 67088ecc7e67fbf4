package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/inbox/sqlite"
)

func TestADatabaseIsOpenedDurable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a #1 ?x=%41 é.db")
	db, err := sqlite.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for pragma, want := range map[string]string{
		"journal_mode": "wal", "synchronous": "2", "busy_timeout": "10000", "foreign_keys": "1",
	} {
		var got string
		if err := db.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %s, want %s (%v)", pragma, got, want, err)
		}
	}
	if found, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*.db")); err != nil || len(found) != 1 || found[0] != path {
		t.Errorf("the file is %q, want %q (%v)", found, path, err)
	}
}

func TestADatabaseThatCannotBeOpenedIsAnError(t *testing.T) {
	if db, err := sqlite.Open(filepath.Join(t.TempDir(), "missing", "a.db")); err == nil {
		t.Errorf("it was opened: %v", db.Close())
	}
}
