package inbox_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/inbox"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/inbox/sqlite"
)

// The environment of a child that consumes and kills itself.
const (
	childDatabase = "AMPY_INBOX_CHILD"
	childEpoch    = "AMPY_INBOX_EPOCH"
	childStage    = "AMPY_INBOX_STAGE"
	childArrivals = "AMPY_INBOX_ARRIVALS"
)

const (
	killRounds = 30
	killKeys   = 8
	killEach   = 80
)

// Where a child is killed: inside the transaction before or behind its effect,
// or behind the commit and before anybody learns of it.
var killStages = []string{"before the effect", "behind the effect", "behind the commit"}

// killLog is what is in the log of a key: the same in every process.
func killLog(key int) []*ampybus.Message {
	ms := make([]*ampybus.Message, killEach)
	for n := range ms {
		m := message(fmt.Sprintf("K%d", key), strconv.Itoa(n))
		m.Headers.MessageID = fmt.Sprintf("01990000-0000-7000-8%03d-%012d", key, n)
		m.Headers.DedupeKey = fmt.Sprintf("%d-%d", key, n)
		m.Pos = uint64(n*killKeys + key)
		ms[n] = m
	}
	return ms
}

// beChild applies the whole log from its beginning, as the owner at the given
// epoch, until it arrives at a stage for the n-th time: there it dies as by
// kill -9. Nothing was committed at the broker, so each child begins anew.
func beChild(path string) error {
	epoch, err := strconv.ParseUint(os.Getenv(childEpoch), 10, 64)
	if err != nil {
		return err
	}
	arrivals, err := strconv.ParseInt(os.Getenv(childArrivals), 10, 64)
	if err != nil {
		return err
	}
	var arrived atomic.Int64
	at := func(stage string) {
		if stage == os.Getenv(childStage) && arrived.Add(1) == arrivals {
			self, err := os.FindProcess(os.Getpid())
			if err == nil {
				_ = self.Kill() // SIGKILL
			}
			select {}
		}
	}
	db, err := sqlite.Open(path)
	if err != nil {
		return err
	}
	defer db.Close()
	in, err := inbox.New(db, inbox.Config{Group: group})
	if err != nil {
		return err
	}
	h := in.Handler(func(ctx context.Context, tx *sql.Tx, m *ampybus.Message) error {
		at("before the effect")
		if err := step(ctx, tx, m); err != nil {
			return err
		}
		at("behind the effect")
		return nil
	})
	var keys sync.WaitGroup
	faults := make(chan error, killKeys)
	for key := range killKeys {
		keys.Go(func() {
			for _, m := range killLog(key) {
				m.Epoch = epoch
				applied := in.Stats().Applied
				if err := h(context.Background(), m); err != nil {
					faults <- err
					return
				}
				if in.Stats().Applied > applied {
					at("behind the commit")
				}
			}
		})
	}
	keys.Wait()
	close(faults)
	return <-faults
}

// step is an effect that shows who did it.
func step(ctx context.Context, tx *sql.Tx, m *ampybus.Message) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO steps (key, n, epoch) VALUES ($1, $2, $3)`,
		m.Headers.PartitionKey, string(m.Payload), int64(m.Epoch))
	return err
}

func TestKilledProcessesApplyEachMessageOnce(t *testing.T) {
	w := onSQLite(t)
	_, err := w.db.ExecContext(t.Context(), `CREATE TABLE steps (key TEXT NOT NULL, n INTEGER NOT NULL, epoch INTEGER NOT NULL)`)
	w.must(err)
	path := filepath.Join(t.TempDir(), "killed.db")
	_, err = w.db.ExecContext(t.Context(), `VACUUM INTO $1`, path)
	w.must(err)

	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("SEED"); s != "" {
		seed, err = strconv.ParseUint(s, 10, 64)
		w.must(err)
	}
	t.Logf("SEED=%d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for round := range killRounds {
		stage := killStages[round%len(killStages)]
		if err := runChild(t, path, round+1, stage, random.IntN(12)+1); !killed(err) {
			t.Fatalf("round %d: the child was not killed %s: %v", round, stage, err)
		}
	}
	if err := runChild(t, path, killRounds+1, "never", 0); err != nil {
		t.Fatalf("the last child: %v", err)
	}
	w.db, err = sqlite.Open(path)
	w.must(err)
	defer w.db.Close()
	w.wantSteps(killKeys, killEach)
	var owners int
	w.must(w.db.QueryRowContext(t.Context(), `SELECT count(DISTINCT epoch) FROM steps`).Scan(&owners))
	if owners < killRounds/2 {
		t.Errorf("only %d of %d processes applied anything", owners, killRounds)
	}
}

func runChild(t *testing.T, path string, epoch int, stage string, arrivals int) error {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childDatabase+"="+path,
		fmt.Sprintf("%s=%d", childEpoch, epoch), childStage+"="+stage, fmt.Sprintf("%s=%d", childArrivals, arrivals))
	cmd.Stderr = os.Stderr
	return cmd.Run()
}

func killed(err error) bool {
	var exit *exec.ExitError
	return errors.As(err, &exit) && exit.String() == "signal: killed"
}
