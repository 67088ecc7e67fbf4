package natsbinding

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/AmpyFin/ampy-bus/internal/brokertest"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// load is a writer with several keys, each with one publish in flight, which
// repeats what may be repeated.
type load struct {
	t          *testing.T
	tr         driver.Transport
	keys, each int
	flight     int          // records of a key that go together at most
	open       atomic.Int64 // records of each key that may be published by now
	stored     atomic.Int64
	uncertain  atomic.Int64
	refused    atomic.Int64
	step       chan struct{} // told now and then
	work       sync.WaitGroup
}

func startLoad(t *testing.T, tr driver.Transport, keys, each, flight, open int) *load {
	l := &load{t: t, tr: tr, keys: keys, each: each, flight: flight, step: make(chan struct{}, 1)}
	l.open.Store(int64(open))
	for k := range keys {
		l.work.Go(func() { l.write(k) })
	}
	t.Cleanup(l.work.Wait)
	return l
}

func (l *load) write(k int) {
	for n := 0; n < l.each && l.t.Context().Err() == nil; {
		size := min(l.flight, l.each-n, int(l.open.Load())-n)
		if size <= 0 {
			pause(l.t.Context(), time.Millisecond)
			continue
		}
		recs := make([]driver.Record, size)
		for i := range recs {
			recs[i] = l.record(k, n+i)
		}
		stored, err := l.count(outcomes(l.t, l.tr, recs...))
		n += stored
		switch {
		case err == nil:
			continue
		case errors.Is(err, driver.ErrUncertain):
			l.uncertain.Add(1)
		case errors.Is(err, driver.ErrUnavailable):
			l.refused.Add(1)
		default:
			l.t.Errorf("key %d, record %d: %v", k, n, err)
			return
		}
		pause(l.t.Context(), 5*time.Millisecond)
	}
}

// count is how many records are stored before the first that is not.
func (l *load) count(out []driver.Outcome) (int, error) {
	for i, o := range out {
		if o.Err != nil {
			return i, o.Err
		}
		l.stored.Add(1)
		select {
		case l.step <- struct{}{}:
		default:
		}
	}
	return len(out), nil
}

func (l *load) record(k, n int) driver.Record {
	return driver.Record{
		Topic: fmt.Sprintf("ampy.dev.orders.v1.K%d", k), Key: strconv.Itoa(k),
		ID: fmt.Sprintf("id-%d-%d", k, n), Value: []byte(strconv.Itoa(n)),
	}
}

// reaches waits until n records are stored.
func (l *load) reaches(n int) {
	l.t.Helper()
	timeout := time.After(time.Minute)
	for l.stored.Load() < int64(n) {
		select {
		case <-l.step:
		case <-timeout:
			l.t.Fatalf("%d of %d records stored after a minute", l.stored.Load(), n)
		}
	}
}

// verify looks for what is lost, stored twice or out of order.
func (l *load) verify(held []driver.Delivery) {
	l.t.Helper()
	next := make([]int, l.keys)
	for _, d := range held {
		k, _ := strconv.Atoi(strings.TrimPrefix(d.Topic, "ampy.dev.orders.v1.K"))
		if n, _ := strconv.Atoi(string(d.Value)); n != next[k] {
			l.t.Fatalf("key %d at position %d: record %d where %d is due", k, d.Pos, n, next[k])
		}
		next[k]++
	}
	for k, n := range next {
		if n != l.each {
			l.t.Errorf("key %d: %d of %d records", k, n, l.each)
		}
	}
}

// follower takes part in a group for as long as it takes to see all records,
// and commits what it has seen.
type follower struct {
	mu      sync.Mutex
	seen    []driver.Delivery
	again   int // records that came again and are known
	lost    int // times the lane was lost
	fetched int // times delivery was taken up
}

// reaches waits until n records were seen.
func (f *follower) reaches(t *testing.T, n int) {
	t.Helper()
	f.await(t, n, "records seen", func() int { return len(f.seen) })
}

// await waits until a count is at least n.
func (f *follower) await(t *testing.T, n int, what string, count func() int) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(time.Minute)
	for {
		f.mu.Lock()
		got := count()
		f.mu.Unlock()
		if got >= n {
			return
		}
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("%d of %d %s within a minute", got, n, what)
		}
	}
}

func (f *follower) run(t *testing.T, src driver.Source, want int) {
	next := uint64(1)
	for ev := range src.Events() {
		f.mu.Lock()
		switch ev.Kind {
		case driver.Assigned:
			f.fetched++
		case driver.Lost:
			f.lost++
		case driver.Gap:
			t.Errorf("gap [%d, %d)", ev.From, ev.To)
		case driver.Records:
			for _, d := range ev.Records {
				if d.Pos < next {
					f.again++
					continue
				}
				next = d.Pos + 1
				f.seen = append(f.seen, d)
			}
		}
		done := len(f.seen) >= want
		f.mu.Unlock()
		if ev.Kind == driver.Records {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			_ = src.Commit(ctx, ev.Lane, ev.Epoch, ev.Records[len(ev.Records)-1].Pos+1)
			cancel()
		}
		if done {
			return
		}
	}
}

func TestKilledServerLosesNothingAndKeepsOrder(t *testing.T) {
	t.Run("one by one", func(t *testing.T) { killServers(t, 250, 1) })
	t.Run("in batches", func(t *testing.T) { killServers(t, 2500, 100) })
}

func killServers(t *testing.T, each, flight int) {
	const keys, kills = 8, 5
	p := brokertest.StartProcess(t, false)
	tr := dial(t, Config{URL: p.URL(), AckTimeout: testAckTimeout})
	reader := dial(t, Config{URL: p.URL()})
	publishOne(t, tr, "0") // makes the stream; not of the load
	src, err := reader.Open(t.Context(), driver.GroupConfig{Group: "g", Pattern: "ampy.dev.orders.v1.*", Lease: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	var f follower
	followed := make(chan struct{})
	go func() { defer close(followed); f.run(t, src, keys*each+1) }()

	l := startLoad(t, tr, keys, each, flight, 0)
	for n := range kills { // some of the load is left for what follows each kill
		l.open.Store(int64((n + 2) * each / (kills + 1)))
		l.reaches((n + 1) * keys * each / (kills + 1))
		f.reaches(t, (n+1)*keys*each/(kills+1))
		f.await(t, n+1, "times taken up", func() int { return f.fetched })
		p.Restart()
	}
	l.reaches(keys * each)
	f.reaches(t, keys*each+1)
	<-followed
	l.verify(history(t, tr, "ampy.dev.orders.v1.*")[1:])
	l.verify(f.seen[1:])
	if l.uncertain.Load() == 0 || l.refused.Load() == 0 || f.fetched < kills {
		t.Errorf("the faults were not felt: %d uncertain, %d refused, %d times taken up", l.uncertain.Load(), l.refused.Load(), f.fetched)
	}
	t.Logf("%d kills: %d uncertain, %d refused, %d delivered again, %d times taken up", kills, l.uncertain.Load(), l.refused.Load(), f.again, f.fetched)
}

func TestClusterThatLosesItsLeadersLosesNothingAndKeepsOrder(t *testing.T) {
	const keys, each, stops = 8, 100, 3
	c := brokertest.StartCluster(t, 3)
	tr := dial(t, Config{URL: c.URLs()})
	publishUntilStored(t, tr, "0") // a new stream of a cluster has no leader at first
	info, err := tr.streamInfo(t.Context(), "AMPY_DEV_ORDERS")
	if err != nil || info.Config.Replicas != 3 {
		t.Fatalf("a stream in a cluster of three: %+v, %v", info, err)
	}
	src := openUntilLed(t, tr, driver.GroupConfig{Group: "g", Pattern: "ampy.dev.orders.>", Lease: 5 * time.Second})
	if info, err = tr.streamInfo(t.Context(), "KV_"+leaseBucket); err != nil || info.Config.Replicas != 3 {
		t.Fatalf("the leases in a cluster of three: %+v, %v", info, err)
	}
	var f follower
	followed := make(chan struct{})
	go func() { defer close(followed); f.run(t, src, keys*each+1) }()

	const part = each / (stops + 1)
	l := startLoad(t, tr, keys, each, 4, part)
	for n := range stops { // of each part of the load some is under way at the stop, and some comes behind it
		l.reaches((n + 1) * keys * part)
		leader := c.StreamLeader("AMPY_DEV_ORDERS")
		if leader < 0 {
			leader = n
		}
		l.open.Store(int64((n+1)*part + part/2))
		c.Stop(leader)
		l.open.Store(int64((n + 2) * part))
		l.reaches((n+1)*keys*part + 1)
		c.Start(leader)
		c.WaitLeader()
	}
	l.reaches(keys * each)
	f.reaches(t, keys*each+1)
	<-followed
	l.verify(history(t, tr, "ampy.dev.orders.>")[1:])
	l.verify(f.seen[1:])
	if l.uncertain.Load()+l.refused.Load() == 0 {
		t.Error("the faults were not felt")
	}
	t.Logf("%d stops: %d uncertain, %d refused, %d delivered again, %d times taken up", stops, l.uncertain.Load(), l.refused.Load(), f.again, f.fetched)
}

// Some requests go through the client's JetStream, others past it.
func TestAnElectionIsKnownWhoeverAsked(t *testing.T) {
	tr := dial(t, Config{URL: brokertest.Start(t).URL()})
	for _, code := range []int{codeClusterNotAvail, codeNotLeader} {
		for _, err := range []error{&apiError{ErrCode: code}, &jetstream.APIError{ErrorCode: jetstream.ErrorCode(code)}} {
			if !tr.leaderless(requestError("ask", err)) {
				t.Errorf("%T %d is taken for something else", err, code)
			}
		}
	}
	for _, err := range []error{nil, &apiError{ErrCode: codeStreamNotFound}, context.Canceled, context.DeadlineExceeded} {
		if tr.leaderless(requestError("ask", err)) { // a single server has no elections
			t.Errorf("%v is taken for an election", err)
		}
	}
}

func TestReaderWaitsForAClusterThatIsSilentBetweenLeaders(t *testing.T) {
	c := brokertest.StartCluster(t, 3)
	publishUntilStored(t, dial(t, Config{URL: c.URLs()}), "0")
	stays := 0 // leads nothing, so that it cannot answer by itself
	for c.Server(stays).Native().JetStreamIsLeader() || c.StreamLeader("AMPY_DEV_ORDERS") == stays {
		stays++
	}
	tr := dial(t, Config{URL: strings.Split(c.URLs(), ",")[stays]})
	asked, err := tr.nc.SubscribeSync("$JS.API.STREAM.NAMES")
	if err != nil {
		t.Fatal(err)
	}
	c.Stop((stays + 1) % 3)
	c.Stop((stays + 2) % 3)
	read := make(chan error, 1)
	go func() {
		r, err := tr.Read(t.Context(), driver.ReadConfig{Pattern: "ampy.dev.orders.>"})
		if err == nil {
			err = r.Close()
		}
		read <- err
	}()
	if _, err := asked.NextMsg(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	c.Start((stays + 1) % 3)
	c.Start((stays + 2) % 3)
	if err := <-read; err != nil {
		t.Errorf("a reader opened in an election: %v", err)
	}
	if n, _, _ := asked.Pending(); n == 0 {
		t.Error("the cluster answered at once: nobody had to ask again")
	}
}

const ownerEnv = "AMPY_NATSBINDING_OWNER"

// ownForParent is the child of TestFrozenOwnerIsFenced: it owns the lane, says
// so, and commits each time it is told to.
func ownForParent(url string) int {
	tr, err := Dial(Config{URL: url, Logger: quiet()})
	if err != nil {
		fmt.Fprintln(os.Stdout, err)
		return 1
	}
	src, err := tr.Open(context.Background(), driver.GroupConfig{Group: "g", Pattern: "ampy.dev.orders.>", Member: "child", Lease: testLease})
	if err != nil {
		fmt.Fprintln(os.Stdout, err)
		return 1
	}
	var last driver.Event
	for ev := range src.Events() {
		if ev.Kind == driver.Records {
			last = ev
			break
		}
	}
	go func() {
		for range src.Events() {
			continue
		}
	}()
	fmt.Fprintln(os.Stdout, "owner")
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		commit := func() error {
			return src.Commit(context.Background(), last.Lane, last.Epoch, last.Records[len(last.Records)-1].Pos+1)
		}
		err := commit()
		if errors.Is(err, driver.ErrUnavailable) { // frozen in the middle of it
			err = commit()
		}
		fmt.Fprintln(os.Stdout, "committed", errors.Is(err, driver.ErrFenced), err)
	}
	return 0
}

func TestFrozenOwnerIsFenced(t *testing.T) {
	s := brokertest.Start(t)
	tr := dial(t, Config{URL: s.URL()})
	publishNumbers(t, tr, testTopic, 0, 10)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), ownerEnv+"="+s.URL())
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "owner" {
		t.Fatalf("the child says %q", lines.Text())
	}
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	var state syscall.WaitStatus // the signal takes a moment to work
	if _, err := syscall.Wait4(cmd.Process.Pid, &state, syscall.WUNTRACED, nil); err != nil || !state.Stopped() {
		t.Fatalf("the child does not stop: %v, %v", state, err)
	}
	// Told to commit while it is frozen: it does so the moment it wakes up.
	if _, err := fmt.Fprintln(in, "commit"); err != nil {
		t.Fatal(err)
	}
	m := join(t, tr, driver.GroupConfig{Pattern: "ampy.dev.orders.>", Member: "parent"})
	m.expect(driver.Assigned)
	ev, vs := m.takes(10)
	if fmt.Sprint(vs) != "[0 1 2 3 4 5 6 7 8 9]" {
		t.Errorf("the new owner got %v", vs)
	}
	m.commits(ev, 4)
	if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if !lines.Scan() || !strings.HasPrefix(lines.Text(), "committed true") {
		t.Errorf("the frozen owner says %q", lines.Text())
	}
	lanes, err := tr.Lanes(t.Context(), "g", "ampy.>")
	if err != nil || lanes[0].Committed != 4 || lanes[0].Owner != "parent" {
		t.Errorf("lanes: %+v, %v", lanes, err)
	}
	m.commits(ev, 11)
}
