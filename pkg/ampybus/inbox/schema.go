package inbox

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// schemaVersion grows with every change of the tables. Create brings older
// ones up to it and refuses newer ones.
const schemaVersion = 1

// Create makes the tables that are missing, in one transaction. It may be
// called at every start, by several processes at once. Tables of a newer
// version of this package are refused with ampybus.ErrConfig.
func (in *Inbox) Create(ctx context.Context) error {
	if err := in.takeWriter(ctx); err != nil {
		return err
	}
	defer in.releaseWriter()
	tx, err := in.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("create inbox tables: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	if err := in.create(ctx, tx); err != nil {
		return fmt.Errorf("create inbox tables: %w", err)
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("create inbox tables: %w", err)
	}
	return nil
}

func (in *Inbox) create(ctx context.Context, tx *sql.Tx) error {
	if in.cfg.Dialect == Postgres {
		// IF NOT EXISTS alone fails when two sessions create at once.
		if _, err := tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock($1)`, int64(createLock)); err != nil {
			return err
		}
	}
	for _, ddl := range schema(in.cfg.Dialect, in.cfg.Prefix) {
		if _, err := tx.ExecContext(ctx, ddl); err != nil {
			return err
		}
	}
	return in.checkVersion(ctx, tx)
}

// createLock is any number that other programs are unlikely to lock.
const createLock = 0x616d7079 // "ampy"

func (in *Inbox) checkVersion(ctx context.Context, tx *sql.Tx) error {
	text := func(s string) string { return strings.ReplaceAll(s, "{p}", in.cfg.Prefix) }
	_, err := tx.ExecContext(ctx, text(`INSERT INTO {p}inbox_schema (id, version) VALUES (1, $1) ON CONFLICT (id) DO NOTHING`), schemaVersion)
	if err != nil {
		return err
	}
	var version int
	if err := tx.QueryRowContext(ctx, text(`SELECT version FROM {p}inbox_schema WHERE id = 1`)).Scan(&version); err != nil {
		return err
	}
	if version != schemaVersion {
		return fmt.Errorf("the tables have version %d, this package knows %d: %w", version, schemaVersion, ampybus.ErrConfig)
	}
	return nil
}
