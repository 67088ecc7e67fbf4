// Package sqlite opens SQLite databases for package inbox, with the settings
// that make a committed effect survive a power cut. It needs no C compiler.
package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"strconv"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// busyTimeout is how long a statement waits for another process's transaction.
const busyTimeout = 10 * time.Second

// Open opens, or creates, the database file at path. Transactions take the
// write lock when they begin, so that none has to be undone because another
// was faster; commits are on disk when they return (WAL, synchronous=FULL). A
// statement waits 10 s for other processes. Writers within the process take
// turns if they are all handlers of one Inbox.
func Open(path string) (*sql.DB, error) {
	q := url.Values{"_txlock": {"immediate"}}
	for _, pragma := range []string{
		"busy_timeout(" + strconv.FormatInt(busyTimeout.Milliseconds(), 10) + ")", // first: the next one may have to wait
		"journal_mode(WAL)",
		"synchronous(FULL)",
		"foreign_keys(1)",
	} {
		q.Add("_pragma", pragma)
	}
	dsn := url.URL{Scheme: "file", Opaque: url.PathEscape(path), RawQuery: q.Encode()}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	if err := db.PingContext(context.Background()); err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return db, nil
}
