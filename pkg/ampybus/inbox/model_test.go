package inbox_test

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/inbox"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/inbox/internal/crashfs"
)

// sequences is how many sequences of sequenceSteps run against each SQL
// database. The full proof takes minutes:
//
//	go test ./pkg/ampybus/inbox -run EqualsItsModel -timeout 20m -sequences 5000
//
// A file's cost little and are always fileSequences.
var sequences = flag.Int("sequences", 100, "sequences of the state machine on each SQL database")

const (
	sequenceSteps = 50
	fileSequences = 5000
	// rapidChecks is how many cases rapid makes of one Check.
	rapidChecks = 100
)

// drawMessage makes messages of few identities, so that they meet.
func drawMessage(t *rapid.T) *ampybus.Message {
	m := message("K", rapid.SampledFrom([]string{"a", "b"}).Draw(t, "payload"))
	m.Headers.MessageID = fmt.Sprintf("01990000-0000-7000-8000-%012d", rapid.IntRange(0, 5).Draw(t, "id"))
	m.Headers.DedupeKey = rapid.SampledFrom([]string{"", "", "k1", "k2"}).Draw(t, "key")
	m.Headers.RetryCount = rapid.IntRange(0, 2).Draw(t, "retry")
	return m
}

// fact is what a model knows of an identity.
type fact struct {
	dead    bool
	retries int
	payload string
	pos     uint64
	age     time.Duration
}

// judgement is what has to become of a message.
type judgement string

const (
	runs        judgement = "runs"
	duplicate   judgement = "duplicate"
	idConflict  judgement = "id_conflict"
	keyConflict judgement = "dedupe_conflict"
)

// judge says what has to become of m, where ids and keys are known.
func judge(ids, keys map[string]fact, m *ampybus.Message) judgement {
	if f, known := ids[m.Headers.MessageID]; known && (!f.dead || f.retries >= m.Headers.RetryCount) {
		if f.payload != string(m.Payload) {
			return idConflict
		}
		return duplicate
	}
	f, known := keys[m.Headers.DedupeKey]
	switch {
	case !known || m.Headers.DedupeKey == "":
		return runs
	case f.payload != string(m.Payload):
		return keyConflict
	}
	return duplicate
}

// sqlModel is the inbox as it has to be.
type sqlModel struct {
	ids, keys map[string]fact
	epoch     uint64 // of the lane
	effects   []string
	stats     inbox.Stats
}

// TestTheInboxEqualsItsModel runs random sequences of deliveries, failing
// effects, dead letters, takeovers, restarts and purges.
func TestTheInboxEqualsItsModel(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "inbox.db")
		// Crashes of the machine are not what this tests.
		runSequences(t, newWorld(t, inbox.SQLite, func() (*sql.DB, error) {
			return sql.Open("sqlite", "file:"+path+"?_txlock=immediate&_pragma=journal_mode(MEMORY)&_pragma=synchronous(OFF)")
		}))
	})
	t.Run("postgres", func(t *testing.T) {
		w := onPostgres(t)
		w.db.SetMaxOpenConns(1)
		_, err := w.db.ExecContext(t.Context(), "SET synchronous_commit = off")
		w.must(err)
		runSequences(t, w)
	})
}

func runSequences(t *testing.T, w *world) {
	t.Helper()
	done := 0
	var counts inbox.Stats
	rapid.Check(t, func(rt *rapid.T) {
		for range max(*sequences/rapidChecks, 1) {
			done++
			s := runSequence(rt, w, fmt.Sprintf("g%d", done))
			counts.Applied += s.Applied
			counts.NoOp += s.NoOp
			counts.Conflict += s.Conflict
			counts.Fenced += s.Fenced
		}
	})
	if counts.Applied == 0 || counts.NoOp == 0 || counts.Conflict == 0 || counts.Fenced == 0 {
		t.Errorf("something never happened: %+v", counts)
	}
	t.Logf("%d sequences: %+v", done, counts)
}

const modelRetention = 10 * 24 * time.Hour

func runSequence(rt *rapid.T, w *world, group string) inbox.Stats {
	ctx := context.Background()
	open := func() *inbox.Inbox {
		in, err := inbox.New(w.db, inbox.Config{Group: group, Dialect: w.dialect, Retention: modelRetention})
		if err != nil {
			rt.Fatal(err)
		}
		return in
	}
	in := open()
	model := &sqlModel{ids: map[string]fact{}, keys: map[string]fact{}}
	var total inbox.Stats
	restart := func() {
		s := in.Stats()
		if s != model.stats {
			rt.Fatalf("stats are %+v, want %+v", s, model.stats)
		}
		total.Applied += s.Applied
		total.NoOp += s.NoOp
		total.Conflict += s.Conflict
		total.Fenced += s.Fenced
		in, model.stats = open(), inbox.Stats{}
	}
	for range sequenceSteps {
		m := drawMessage(rt)
		m.Group, m.Headers.PartitionKey = group, group
		m.Epoch = max(model.epoch, 1)
		switch op := rapid.IntRange(0, 19).Draw(rt, "op"); {
		case op == 0:
			restart()
		case op == 1:
			w.modelPurge(rt, in, model, group, rapid.Int64Range(0, 12).Draw(rt, "days"))
		case op == 2:
			m.Epoch++
			model.deliver(rt, in, m, false)
		case op == 3:
			m.Epoch--
			model.deliver(rt, in, m, false)
		case op <= 6:
			model.bury(rt, m, in.MarkDead(ctx, m))
		case op <= 9:
			model.deliver(rt, in, m, true)
		default:
			model.deliver(rt, in, m, false)
		}
	}
	restart()
	slices.Sort(model.effects)
	if got := w.effectsOf(rt, group); !slices.Equal(got, model.effects) {
		rt.Fatalf("effects are %q, want %q", got, model.effects)
	}
	return total
}

// owns says whether the epoch may write, and what it does to the lane.
func (s *sqlModel) owns(m *ampybus.Message) bool {
	if m.Epoch < s.epoch {
		return false
	}
	s.epoch = m.Epoch
	return true
}

var errEffect = errors.New("the effect fails")

// deliver hands m to the inbox and the model.
func (s *sqlModel) deliver(rt *rapid.T, in *inbox.Inbox, m *ampybus.Message, fails bool) {
	ran := false
	err := in.Handler(func(ctx context.Context, tx *sql.Tx, m *ampybus.Message) error {
		ran = true
		if err := insert(ctx, tx, m); err != nil {
			return err
		}
		if fails {
			return errEffect
		}
		return nil
	})(context.Background(), m)
	if !s.owns(m) {
		s.stats.Fenced++
		if !errors.Is(err, ampybus.ErrFenced) || ran {
			rt.Fatalf("a stale owner got %v, its effect ran: %v", err, ran)
		}
		return
	}
	want := judge(s.ids, s.keys, m)
	var poison *ampybus.PoisonError
	switch {
	case errors.As(err, &poison):
		s.stats.Conflict++
		if string(want) != poison.Code || ran {
			rt.Fatalf("got %v, want %s", err, want)
		}
	case want == duplicate:
		s.stats.NoOp++
		if err != nil || ran {
			rt.Fatalf("a duplicate got %v, its effect ran: %v", err, ran)
		}
		s.refresh(m)
	case want != runs || !ran:
		rt.Fatalf("got %v, effect ran: %v; want %s", err, ran, want)
	case fails:
		if !errors.Is(err, errEffect) {
			rt.Fatalf("a failing effect got %v", err)
		}
	default:
		s.stats.Applied++
		if err != nil {
			rt.Fatalf("an effect got %v", err)
		}
		s.apply(m)
	}
}

func (s *sqlModel) apply(m *ampybus.Message) {
	s.effects = append(s.effects, string(m.Payload))
	f := fact{payload: string(m.Payload), pos: m.Pos}
	s.ids[m.Headers.MessageID] = f
	if m.Headers.DedupeKey != "" {
		s.keys[m.Headers.DedupeKey] = f
	}
}

// refresh keeps what a duplicate shows to be in use.
func (s *sqlModel) refresh(m *ampybus.Message) {
	young := func(known map[string]fact, name string) {
		if f, ok := known[name]; ok && f.age > 24*time.Hour {
			f.age = 0
			known[name] = f
		}
	}
	f, known := s.ids[m.Headers.MessageID]
	if !known || f.dead && f.retries < m.Headers.RetryCount { // a duplicate by its key
		s.ids[m.Headers.MessageID] = fact{payload: string(m.Payload), pos: m.Pos}
	} else {
		young(s.ids, m.Headers.MessageID)
	}
	young(s.keys, m.Headers.DedupeKey)
}

func (s *sqlModel) bury(rt *rapid.T, m *ampybus.Message, err error) {
	if err != nil || !s.owns(m) {
		rt.Fatalf("MarkDead returned %v", err)
	}
	f, known := s.ids[m.Headers.MessageID]
	if known && (!f.dead || f.retries >= m.Headers.RetryCount) {
		return
	}
	s.ids[m.Headers.MessageID] = fact{dead: true, retries: m.Headers.RetryCount, payload: string(m.Payload), pos: m.Pos}
}

// modelPurge lets days pass and purges.
func (w *world) modelPurge(rt *rapid.T, in *inbox.Inbox, s *sqlModel, group string, days int64) {
	passed := time.Duration(days)*24*time.Hour + time.Hour
	for _, table := range []string{"ampy_inbox", "ampy_inbox_keys"} {
		_, err := w.db.ExecContext(context.Background(), "UPDATE "+table+" SET seen_ms = seen_ms - $1 WHERE consumer = $2", passed.Milliseconds(), group)
		if err != nil {
			rt.Fatal(err)
		}
	}
	gone := int64(0)
	for _, known := range []map[string]fact{s.ids, s.keys} {
		for name, f := range known {
			f.age += passed
			known[name] = f
		}
		maps.DeleteFunc(known, func(_ string, f fact) bool {
			if f.age > modelRetention {
				gone++
			}
			return f.age > modelRetention
		})
	}
	if n, err := in.Purge(context.Background()); err != nil || n != gone {
		rt.Fatalf("%d rows purged, want %d: %v", n, gone, err)
	}
}

func (w *world) effectsOf(rt *rapid.T, key string) []string {
	rows, err := w.db.QueryContext(context.Background(), "SELECT n FROM effects WHERE key = $1 ORDER BY n", key)
	if err != nil {
		rt.Fatal(err)
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var n string
		if err := rows.Scan(&n); err != nil {
			rt.Fatal(err)
		}
		all = append(all, n)
	}
	if err := rows.Err(); err != nil {
		rt.Fatal(err)
	}
	return all
}

// fileModel is the file as it has to be: identities in the order in which they
// came.
type fileModel struct {
	ids, keys map[string]fact
	begun     map[string]int
	order     []string
	limit     int
}

// TestTheFileEqualsItsModel runs random sequences with crashes at any step and
// forgetting: what the file calls known was marked, and what was marked and is
// within the limit is known.
func TestTheFileEqualsItsModel(t *testing.T) {
	done, crashes, forgotten := 0, 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		for range fileSequences / rapidChecks {
			done++
			c, f := runFileSequence(rt)
			crashes += c
			forgotten += f
		}
	})
	if crashes == 0 || forgotten == 0 {
		t.Errorf("something never happened: %d crashes, %d forgotten", crashes, forgotten)
	}
	t.Logf("%d sequences, %d crashes, %d identities forgotten", done, crashes, forgotten)
}

func runFileSequence(rt *rapid.T) (crashes, forgotten int) {
	model := &fileModel{
		ids: map[string]fact{}, keys: map[string]fact{}, begun: map[string]int{},
		limit: rapid.SampledFrom([]int{3, 5, 100}).Draw(rt, "limit"),
	}
	disk := crashfs.New()
	open := func() *inbox.File {
		f, err := inbox.OpenFileOn(disk, filePath, inbox.FileConfig{Limit: model.limit})
		if err != nil {
			rt.Fatal(err)
		}
		return f
	}
	f := open()
	for range sequenceSteps {
		m := drawMessage(rt)
		switch op := rapid.IntRange(0, 19).Draw(rt, "op"); {
		case op == 0: // killed
			crashes++
			disk = crashfs.With(disk.Files())
			f = open()
			model.restart()
		case op == 1:
			if err := inbox.Rewrite(f); err != nil {
				rt.Fatal(err)
			}
		case op <= 4:
			if err := f.MarkDead(context.Background(), m); err != nil {
				rt.Fatal(err)
			}
			forgotten += model.bury(m)
		default:
			seen, err := f.Seen(context.Background(), m)
			if err != nil || judgements[seen] != judge(model.ids, model.keys, m) {
				rt.Fatalf("Seen is %v, %v, want %s", seen, err, judge(model.ids, model.keys, m))
			}
			if seen != ampybus.SeenNot {
				continue
			}
			forgotten += model.start(m)
			if got, want := f.Interrupted(m), model.begun[m.Headers.MessageID] > 1; got != want {
				rt.Fatalf("Interrupted is %v, want %v", got, want)
			}
			if op <= 12 { // else the handler fails
				if err := f.Mark(context.Background(), m); err != nil {
					rt.Fatal(err)
				}
				forgotten += model.mark(m)
			}
		}
	}
	return crashes, forgotten
}

var judgements = map[ampybus.Seen]judgement{
	ampybus.SeenNot: runs, ampybus.SeenSame: duplicate,
	ampybus.SeenIDConflict: idConflict, ampybus.SeenKeyConflict: keyConflict,
}

// enter notes an identity, and forgets the oldest over the limit.
func (s *fileModel) enter(name string) (forgotten int) {
	for _, n := range s.order {
		if n == name {
			return 0
		}
	}
	s.order = append(s.order, name)
	if len(s.order) <= s.limit {
		return 0
	}
	oldest := s.order[0]
	s.order = s.order[1:]
	delete(s.ids, strings.TrimPrefix(oldest, "id "))
	delete(s.keys, strings.TrimPrefix(oldest, "key "))
	delete(s.begun, strings.TrimPrefix(oldest, "id "))
	return 1
}

func (s *fileModel) start(m *ampybus.Message) (forgotten int) {
	forgotten = s.enter("id " + m.Headers.MessageID)
	s.begun[m.Headers.MessageID]++
	return forgotten
}

func (s *fileModel) mark(m *ampybus.Message) (forgotten int) {
	f := fact{payload: string(m.Payload)}
	forgotten = s.enter("id " + m.Headers.MessageID)
	s.ids[m.Headers.MessageID] = f
	delete(s.begun, m.Headers.MessageID)
	if m.Headers.DedupeKey != "" {
		forgotten += s.enter("key " + m.Headers.DedupeKey)
		s.keys[m.Headers.DedupeKey] = f
	}
	return forgotten
}

func (s *fileModel) bury(m *ampybus.Message) (forgotten int) {
	forgotten = s.enter("id " + m.Headers.MessageID)
	f, known := s.ids[m.Headers.MessageID]
	if known && !f.dead {
		return forgotten
	}
	s.ids[m.Headers.MessageID] = fact{dead: true, retries: max(f.retries, m.Headers.RetryCount), payload: string(m.Payload)}
	delete(s.begun, m.Headers.MessageID)
	return forgotten
}

// restart keeps of the attempts that one began.
func (s *fileModel) restart() {
	for name := range s.begun {
		s.begun[name] = min(s.begun[name], 1)
	}
}
