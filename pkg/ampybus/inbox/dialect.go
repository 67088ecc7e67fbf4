package inbox

import "strings"

// Dialect names the SQL that a database speaks.
type Dialect int

// The databases that the tests run on.
const (
	SQLite   Dialect = iota // 3.35 or newer
	Postgres                // PostgreSQL 12 or newer
)

// States of a message in the inbox.
const (
	stateApplied = 1
	stateDead    = 2
)

// statements are the SQL texts of one inbox. Placeholders are $1, $2, … in the
// order of their first appearance, which both databases read.
type statements struct {
	claim, fence                   string
	record, lookup, touch          string
	recordKey, lookupKey, touchKey string
	bury                           string
	latest                         string
	lanes, forget                  string
	purge, purgeKeys               string
}

func newStatements(d Dialect, prefix string) statements {
	fence := `UPDATE {p}inbox_lanes SET epoch = epoch WHERE consumer = $1 AND lane = $2 AND epoch = $3`
	if d == Postgres {
		// Messages of a lane share its row; only another epoch waits for them.
		fence = `SELECT 1 FROM {p}inbox_lanes WHERE consumer = $1 AND lane = $2 AND epoch = $3 FOR SHARE`
	}
	text := func(s string) string { return strings.ReplaceAll(s, "{p}", prefix) }
	return statements{
		claim: text(`INSERT INTO {p}inbox_lanes (consumer, lane, epoch) VALUES ($1, $2, $3)
			ON CONFLICT (consumer, lane) DO UPDATE SET epoch = excluded.epoch
			WHERE {p}inbox_lanes.epoch <= excluded.epoch`),
		fence: text(fence),

		record: text(`INSERT INTO {p}inbox (consumer, message_id, payload_hash, state, retries, lane, position, seen_ms)
			VALUES ($1, $2, $3, 1, $4, $5, $6, $7)
			ON CONFLICT (consumer, message_id) DO UPDATE SET payload_hash = excluded.payload_hash, state = 1,
				retries = excluded.retries, lane = excluded.lane, position = excluded.position, seen_ms = excluded.seen_ms
			WHERE {p}inbox.state = 2 AND {p}inbox.retries < excluded.retries`),
		lookup: text(`SELECT payload_hash, state, lane, position FROM {p}inbox WHERE consumer = $1 AND message_id = $2`),
		touch:  text(`UPDATE {p}inbox SET seen_ms = $1 WHERE consumer = $2 AND message_id = $3 AND seen_ms < $4`),

		recordKey: text(`INSERT INTO {p}inbox_keys (consumer, identity, payload_hash, message_id, seen_ms)
			VALUES ($1, $2, $3, $4, $5) ON CONFLICT (consumer, identity) DO NOTHING`),
		lookupKey: text(`SELECT payload_hash, message_id FROM {p}inbox_keys WHERE consumer = $1 AND identity = $2`),
		touchKey:  text(`UPDATE {p}inbox_keys SET seen_ms = $1 WHERE consumer = $2 AND identity = $3 AND seen_ms < $4`),

		bury: text(`INSERT INTO {p}inbox (consumer, message_id, payload_hash, state, retries, lane, position, seen_ms)
			VALUES ($1, $2, $3, 2, $4, $5, $6, $7)
			ON CONFLICT (consumer, message_id) DO UPDATE SET payload_hash = excluded.payload_hash,
				retries = excluded.retries, lane = excluded.lane, position = excluded.position, seen_ms = excluded.seen_ms
			WHERE {p}inbox.state = 2 AND {p}inbox.retries < excluded.retries`),

		latest: text(`INSERT INTO {p}inbox_latest (consumer, name, version) VALUES ($1, $2, $3)
			ON CONFLICT (consumer, name) DO UPDATE SET version = excluded.version
			WHERE {p}inbox_latest.version < excluded.version`),

		lanes: text(`SELECT l.lane, l.epoch, COALESCE((SELECT MAX(i.position) FROM {p}inbox i
				WHERE i.consumer = l.consumer AND i.lane = l.lane), 0)
			FROM {p}inbox_lanes l WHERE l.consumer = $1 ORDER BY l.lane`),
		forget: text(`DELETE FROM {p}inbox_lanes WHERE consumer = $1 AND lane = $2`),

		purge: text(`DELETE FROM {p}inbox WHERE (consumer, message_id) IN
			(SELECT consumer, message_id FROM {p}inbox WHERE consumer = $1 AND seen_ms < $2 LIMIT $3)`),
		purgeKeys: text(`DELETE FROM {p}inbox_keys WHERE (consumer, identity) IN
			(SELECT consumer, identity FROM {p}inbox_keys WHERE consumer = $1 AND seen_ms < $2 LIMIT $3)`),
	}
}

// schema lists what Create makes, in order. A table holds what one question
// asks; the indexes serve Purge and Lanes.
func schema(d Dialect, prefix string) []string {
	bytes, rows := "BLOB", " WITHOUT ROWID"
	if d == Postgres {
		bytes, rows = "BYTEA", ""
	}
	replace := strings.NewReplacer("{p}", prefix, "{bytes}", bytes, "{rows}", rows)
	ddl := []string{
		`CREATE TABLE IF NOT EXISTS {p}inbox_schema (id INTEGER NOT NULL PRIMARY KEY, version INTEGER NOT NULL)`,
		`CREATE TABLE IF NOT EXISTS {p}inbox (
			consumer TEXT NOT NULL, message_id TEXT NOT NULL, payload_hash {bytes} NOT NULL,
			state SMALLINT NOT NULL, retries BIGINT NOT NULL,
			lane TEXT NOT NULL, position BIGINT NOT NULL, seen_ms BIGINT NOT NULL,
			PRIMARY KEY (consumer, message_id)){rows}`,
		`CREATE TABLE IF NOT EXISTS {p}inbox_keys (
			consumer TEXT NOT NULL, identity {bytes} NOT NULL, payload_hash {bytes} NOT NULL,
			message_id TEXT NOT NULL, seen_ms BIGINT NOT NULL,
			PRIMARY KEY (consumer, identity)){rows}`,
		`CREATE TABLE IF NOT EXISTS {p}inbox_lanes (
			consumer TEXT NOT NULL, lane TEXT NOT NULL, epoch BIGINT NOT NULL,
			PRIMARY KEY (consumer, lane)){rows}`,
		`CREATE TABLE IF NOT EXISTS {p}inbox_latest (
			consumer TEXT NOT NULL, name TEXT NOT NULL, version BIGINT NOT NULL,
			PRIMARY KEY (consumer, name)){rows}`,
		`CREATE INDEX IF NOT EXISTS {p}inbox_seen ON {p}inbox (consumer, seen_ms)`,
		`CREATE INDEX IF NOT EXISTS {p}inbox_position ON {p}inbox (consumer, lane, position)`,
		`CREATE INDEX IF NOT EXISTS {p}inbox_keys_seen ON {p}inbox_keys (consumer, seen_ms)`,
	}
	for i := range ddl {
		ddl[i] = replace.Replace(ddl[i])
	}
	return ddl
}
