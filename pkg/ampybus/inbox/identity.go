package inbox

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/AmpyFin/ampy-bus/internal/mutant"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// identity is what a message is known by.
type identity struct {
	message string // message_id, lower case
	key     []byte // of topic and dedupe_key; nil without a dedupe_key
	payload []byte // of the bytes: SHA-256
}

// identify reads the identity of m. Without a legal message_id there is none:
// the error is poison.
func identify(m *ampybus.Message) (identity, error) {
	u, err := ampybus.ParseID(m.Headers.MessageID)
	if err != nil {
		return identity{}, &ampybus.PoisonError{Code: ampybus.ReasonEnvelope + ":" + ampybus.HeaderMessageID, Err: err}
	}
	payload := sha256.Sum256(m.Payload)
	id := identity{message: u.String(), payload: payload[:]}
	if m.Headers.DedupeKey != "" {
		id.key = keyIdentity(m)
	}
	return id, nil
}

// keyIdentity hashes topic and dedupe_key, so that no length of either is too
// long for an index. Topics hold no NUL.
func keyIdentity(m *ampybus.Message) []byte {
	h := sha256.New()
	_, _ = h.Write([]byte(m.Topic))
	_, _ = h.Write([]byte{0})
	_, _ = h.Write([]byte(m.Headers.DedupeKey))
	return h.Sum(nil)
}

// record puts m into the inbox; false when it was applied, or given up, before.
// A transaction of another owner that is about to put the same in is waited for.
func (in *Inbox) record(ctx context.Context, tx *sql.Tx, id identity, m *ampybus.Message) (fresh bool, err error) {
	if mutant.On("inbox-no-dedupe") {
		return true, nil
	}
	n, err := affected(tx.ExecContext(ctx, in.sql.record, in.cfg.Group, id.message, id.payload,
		int64(m.Headers.RetryCount), m.Lane, int64(m.Pos), nowMillis()))
	if err != nil {
		return false, fmt.Errorf("record %s: %w", id.message, err)
	}
	if n == 0 {
		return false, in.known(ctx, tx, id, m)
	}
	if id.key == nil {
		return true, nil
	}
	n, err = affected(tx.ExecContext(ctx, in.sql.recordKey, in.cfg.Group, id.key, id.payload, id.message, nowMillis()))
	if err != nil {
		return false, fmt.Errorf("record dedupe_key of %s: %w", id.message, err)
	}
	if n == 0 {
		return false, in.knownKey(ctx, tx, id)
	}
	return true, nil
}

// known judges a message whose message_id is in the inbox: nil for a
// duplicate, or a conflict.
func (in *Inbox) known(ctx context.Context, tx *sql.Tx, id identity, m *ampybus.Message) error {
	var hash []byte
	var state int
	var lane string
	var position int64
	err := tx.QueryRowContext(ctx, in.sql.lookup, in.cfg.Group, id.message).Scan(&hash, &state, &lane, &position)
	if err != nil {
		return fmt.Errorf("look up %s: %w", id.message, err)
	}
	// A dead letter's own record may come again as bytes that the first time
	// could not be unpacked.
	sameRecord := state == stateDead && lane == m.Lane && uint64(position) == m.Pos
	if !bytes.Equal(hash, id.payload) && !sameRecord && !mutant.On("inbox-swallow-conflict") {
		return conflictOf(ampybus.ReasonIDConflict, "this message_id is known with another payload")
	}
	if err := in.refresh(ctx, tx, in.sql.touch, id.message); err != nil || id.key == nil {
		return err
	}
	return in.refresh(ctx, tx, in.sql.touchKey, id.key)
}

// knownKey judges a message whose dedupe_key is in the inbox.
func (in *Inbox) knownKey(ctx context.Context, tx *sql.Tx, id identity) error {
	var hash []byte
	var first string
	err := tx.QueryRowContext(ctx, in.sql.lookupKey, in.cfg.Group, id.key).Scan(&hash, &first)
	if err != nil {
		return fmt.Errorf("look up dedupe_key of %s: %w", id.message, err)
	}
	if !bytes.Equal(hash, id.payload) && !mutant.On("inbox-swallow-conflict") {
		return conflictOf(ampybus.ReasonDedupeConflict, "this dedupe_key was applied with another payload as "+first)
	}
	return in.refresh(ctx, tx, in.sql.touchKey, id.key)
}

func conflictOf(code, text string) error {
	return &ampybus.PoisonError{Code: code, Err: errors.New(text)}
}

// refreshEvery keeps the duplicates of a replay from being a write each: what
// was seen within it keeps its time. Window allows for it.
const refreshEvery = 24 * time.Hour

// refresh notes that a known identity was seen again: copies of it may come for
// as long after that as after the first time.
func (in *Inbox) refresh(ctx context.Context, tx *sql.Tx, touch string, identity any) error {
	now := nowMillis()
	if _, err := tx.ExecContext(ctx, touch, now, in.cfg.Group, identity, now-refreshEvery.Milliseconds()); err != nil {
		return fmt.Errorf("refresh a known message: %w", err)
	}
	return nil
}

func nowMillis() int64 { return time.Now().UnixMilli() }

// affected is the number of rows that a statement changed, or locked.
func affected(r sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}
