package inbox_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
)

const howToRunPostgres = `the PostgreSQL half of these tests needs a server. Either install one, which the
tests then start themselves (Debian: apt-get install postgresql-15), or name one:
	AMPY_TEST_POSTGRES='postgres://user@127.0.0.1/database' go test ./pkg/ampybus/inbox/...`

// server is the PostgreSQL of this test binary: started at the first use, on a
// Unix socket in a directory of its own.
var server privateServer

type privateServer struct {
	once sync.Once
	dsn  string
	err  error
	cmd  *exec.Cmd
	dir  string
}

var errNoServer = errors.New("no PostgreSQL found under /usr/lib/postgresql")

// postgresDSN says where to connect, and fails or skips the test, loudly, when
// there is no server: CI does not skip.
func postgresDSN(t testing.TB) string {
	t.Helper()
	if dsn := os.Getenv("AMPY_TEST_POSTGRES"); dsn != "" {
		return dsn
	}
	server.once.Do(func() { server.dsn, server.err = server.start() })
	switch {
	case errors.Is(server.err, errNoServer) && os.Getenv("CI") == "":
		t.Skip("SKIPPED: " + howToRunPostgres)
	case server.err != nil:
		t.Fatalf("%v\n%s", server.err, howToRunPostgres)
	}
	return server.dsn
}

// await polls until the server answers: it says so by no other means.
func (s *privateServer) await(dsn string) error {
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		return err
	}
	defer db.Close()
	every := time.NewTicker(20 * time.Millisecond)
	defer every.Stop()
	for deadline := time.Now().Add(30 * time.Second); ; <-every.C {
		if err = db.PingContext(context.Background()); err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			return fmt.Errorf("postgres does not answer: %w\n%s", err, log)
		}
	}
}

// inSchema adds a search_path to a DSN of either form.
func inSchema(dsn, schema string) string {
	if u, err := url.Parse(dsn); err == nil && u.Scheme != "" {
		q := u.Query()
		q.Set("search_path", schema)
		u.RawQuery = q.Encode()
		return u.String()
	}
	return dsn + " search_path=" + schema
}
