package natsbinding

import (
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/AmpyFin/ampy-bus/internal/brokertest"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// The server of a benchmark is a process of its own, as it is in life; the raw
// client does the same work with the same headers in the same run:
//
//	go test -run '^$' -bench . -benchtime 200000x -count 3 ./pkg/ampybus/natsbinding

const benchKeys = 256

// benchHeaders are a dozen headers as the bus writes them.
func benchHeaders(key string, n int) []driver.Header {
	return []driver.Header{
		{Name: "message_id", Value: benchID(n)},
		{Name: "schema_fqdn", Value: "ampy.bars.v1.BarBatch"},
		{Name: "schema_version", Value: "1.0.0"},
		{Name: "content_type", Value: "application/x-protobuf"},
		{Name: "produced_at", Value: "2025-09-05T19:30:00.123456789Z"},
		{Name: "producer", Value: "yfinance-go@ingest-1"},
		{Name: "source", Value: "yfinance-go"},
		{Name: "run_id", Value: "run-1"},
		{Name: "traceparent", Value: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
		{Name: "partition_key", Value: key},
		{Name: "topic", Value: "ampy.dev.bars.v1." + key},
	}
}

func benchID(n int) string { return "01991b1e-0000-7000-8000-" + fmt.Sprintf("%012d", n) }

var benchRun atomic.Int64 // ids must not repeat between runs

type benchKey struct {
	topic, key string
}

func benchTopics() []benchKey {
	ks := make([]benchKey, benchKeys)
	for i := range ks {
		ks[i] = benchKey{key: fmt.Sprintf("XNAS.S%d", i)}
		ks[i].topic = "ampy.dev.bars.v1." + ks[i].key
	}
	return ks
}

func benchServer(b *testing.B) string {
	b.Helper()
	return brokertest.StartProcess(b, false).URL()
}

// clock measures a run: elapsed time, and this process's own CPU, which says
// more than elapsed time on a busy machine.
type clock struct {
	began time.Time
	cpu   time.Duration
}

func startClock(b *testing.B) clock {
	b.ReportAllocs()
	b.ResetTimer()
	return clock{began: time.Now(), cpu: cpuTime(b)}
}

func (c clock) report(b *testing.B) { c.reportFor(b, b.N) }

// reportFor is report where n messages make the run.
func (c clock) reportFor(b *testing.B, n int) {
	b.StopTimer()
	b.ReportMetric(float64(n)/time.Since(c.began).Seconds(), "msg/s")
	b.ReportMetric(float64((cpuTime(b)-c.cpu).Nanoseconds())/float64(n), "cpu-ns/msg")
}

func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkPublish(b *testing.B) {
	url := benchServer(b)
	for _, size := range []int{128, 1024} {
		b.Run(fmt.Sprintf("size=%d/way=transport", size), func(b *testing.B) { benchTransport(b, url, size) })
		b.Run(fmt.Sprintf("size=%d/way=raw-async", size), func(b *testing.B) { benchRaw(b, url, size) })
	}
	b.Run("size=1024/way=transport-1-caller", func(b *testing.B) { benchOneCaller(b, url) })
	b.Run("size=1024/way=raw-1-caller", func(b *testing.B) { benchRawSync(b, url) })
	b.Run("size=1024/way=transport-1-key-calls-of-64", func(b *testing.B) { benchHotKey(b, url, 64) })
}

// benchTransport keeps one record in flight on each key.
func benchTransport(b *testing.B, url string, size int) {
	tr := dial(b, Config{URL: url})
	publishWarm(b, tr)
	keys, value := benchTopics(), make([]byte, size)
	run := int(benchRun.Add(1)) * 100_000_000
	began := startClock(b)
	var all sync.WaitGroup
	all.Add(b.N)
	var next atomic.Int64
	var send func(k *benchKey)
	send = func(k *benchKey) {
		n := int(next.Add(1))
		if n > b.N {
			return
		}
		id := run + n
		hs := benchHeaders(k.key, id)
		tr.Publish([]driver.Record{{Topic: k.topic, Key: k.key, ID: hs[0].Value, Headers: hs, Value: value}}, func(_ int, o driver.Outcome) {
			if o.Err != nil {
				b.Error(o.Err)
			}
			all.Done()
			send(k)
		})
	}
	for i := range keys {
		send(&keys[i])
	}
	all.Wait()
	began.report(b)
}

func publishWarm(b *testing.B, tr driver.Transport) {
	b.Helper()
	if o := outcomes(b, tr, driver.Record{Topic: "ampy.dev.bars.v1.XNAS.WARM", Value: []byte("x")})[0]; o.Err != nil {
		b.Fatal(o.Err)
	}
}

func rawHeader(hs []driver.Header, id string) nats.Header {
	h := make(nats.Header, len(hs)+1)
	for _, x := range hs {
		h.Set(x.Name, x.Value)
	}
	h.Set(nats.MsgIdHdr, id)
	return h
}

func benchRaw(b *testing.B, url string, size int) {
	dial(b, Config{URL: url}) // the stream is there already
	nc, err := nats.Connect(url)
	if err != nil {
		b.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(4096), jetstream.WithPublishAsyncTimeout(time.Minute))
	if err != nil {
		b.Fatal(err)
	}
	keys, value := benchTopics(), make([]byte, size)
	run := int(benchRun.Add(1)) * 100_000_000
	began := startClock(b)
	for n := range b.N {
		k := &keys[n%benchKeys]
		hs := benchHeaders(k.key, run+n)
		if _, err := js.PublishMsgAsync(&nats.Msg{Subject: k.topic, Header: rawHeader(hs, hs[0].Value), Data: value}, jetstream.WithStallWait(time.Minute)); err != nil {
			b.Fatal(err)
		}
	}
	<-js.PublishAsyncComplete()
	began.report(b)
}

func benchOneCaller(b *testing.B, url string) {
	tr := dial(b, Config{URL: url})
	publishWarm(b, tr)
	keys, value := benchTopics(), make([]byte, 1024)
	run := int(benchRun.Add(1)) * 100_000_000
	done := make(chan struct{})
	began := startClock(b)
	for n := range b.N {
		k := &keys[n%benchKeys]
		hs := benchHeaders(k.key, run+n)
		tr.Publish([]driver.Record{{Topic: k.topic, Key: k.key, ID: hs[0].Value, Headers: hs, Value: value}}, func(int, driver.Outcome) { done <- struct{}{} })
		<-done
	}
	began.report(b)
}

func benchRawSync(b *testing.B, url string) {
	nc, err := nats.Connect(url)
	if err != nil {
		b.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		b.Fatal(err)
	}
	keys, value := benchTopics(), make([]byte, 1024)
	run := int(benchRun.Add(1)) * 100_000_000
	began := startClock(b)
	for n := range b.N {
		k := &keys[n%benchKeys]
		hs := benchHeaders(k.key, run+n)
		if _, err := js.PublishMsg(b.Context(), &nats.Msg{Subject: k.topic, Header: rawHeader(hs, hs[0].Value), Data: value}); err != nil {
			b.Fatal(err)
		}
	}
	began.report(b)
}

// benchHotKey publishes one key in calls of many records.
func benchHotKey(b *testing.B, url string, each int) {
	tr := dial(b, Config{URL: url})
	publishWarm(b, tr)
	value := make([]byte, 1024)
	run := int(benchRun.Add(1)) * 100_000_000
	began := startClock(b)
	for n := 0; n < b.N; n += each {
		recs := make([]driver.Record, min(each, b.N-n))
		for i := range recs {
			hs := benchHeaders("XNAS.HOT", run+n+i)
			recs[i] = driver.Record{Topic: "ampy.dev.bars.v1.XNAS.HOT", Key: "XNAS.HOT", ID: hs[0].Value, Headers: hs, Value: value}
		}
		for _, o := range outcomes(b, tr, recs...) {
			if o.Err != nil {
				b.Fatal(o.Err)
			}
		}
	}
	began.report(b)
}

// fill stores n records of 1 KiB for the reading benchmarks.
func fill(b *testing.B, url string, n int) {
	b.Helper()
	b.StopTimer()
	tr := dial(b, Config{URL: url})
	publishWarm(b, tr)
	keys, value := benchTopics(), make([]byte, 1024)
	run := int(benchRun.Add(1)) * 100_000_000
	var all sync.WaitGroup
	slots := make(chan struct{}, 2048)
	for i := range n {
		k := &keys[i%benchKeys]
		hs := benchHeaders(k.key, run+i)
		slots <- struct{}{}
		all.Add(1)
		tr.Publish([]driver.Record{{Topic: k.topic, Key: k.key, ID: hs[0].Value, Headers: hs, Value: value}}, func(_ int, o driver.Outcome) {
			if o.Err != nil {
				b.Error(o.Err)
			}
			<-slots
			all.Done()
		})
	}
	all.Wait()
	b.StartTimer()
}

// Each run reads records that are there already, in a group or without one.
func BenchmarkRead(b *testing.B) {
	const held = 300_000
	url := benchServer(b)
	filled := false
	ready := func(b *testing.B) {
		if !filled {
			fill(b, url, held)
			filled = true
		}
		if b.N > held {
			b.Skipf("holds %d records: use -benchtime %dx", held, held)
		}
	}
	b.Run("way=group", func(b *testing.B) { ready(b); benchGroup(b, url) })
	b.Run("way=raw-consume-explicit", func(b *testing.B) { ready(b); benchRawConsume(b, url) })
	b.Run("way=reader", func(b *testing.B) { ready(b); benchReader(b, url) })
	b.Run("way=raw-ordered", func(b *testing.B) { ready(b); benchRawOrdered(b, url) })
}

const benchPattern = "ampy.dev.bars.>"

func benchGroup(b *testing.B, url string) {
	tr := dial(b, Config{URL: url})
	src, err := tr.Open(b.Context(), driver.GroupConfig{Group: "g" + strconv.FormatInt(benchRun.Add(1), 10), Pattern: benchPattern})
	if err != nil {
		b.Fatal(err)
	}
	began := startClock(b)
	n, open := 0, 0
	var commits sync.WaitGroup
	for ev := range src.Events() {
		if ev.Kind != driver.Records {
			continue
		}
		n, open = n+len(ev.Records), open+len(ev.Records)
		if open >= 2048 {
			open = 0
			commits.Go(func() {
				if err := src.Commit(b.Context(), ev.Lane, ev.Epoch, ev.Records[len(ev.Records)-1].Pos+1); err != nil {
					b.Error(err)
				}
			})
		}
		if n >= b.N {
			break
		}
	}
	began.report(b)
	go func() {
		for range src.Events() {
			continue
		}
	}()
	commits.Wait()
	_ = src.Close(b.Context())
}

func benchRawConsume(b *testing.B, url string) {
	nc, err := nats.Connect(url)
	if err != nil {
		b.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		b.Fatal(err)
	}
	c, err := js.CreateConsumer(b.Context(), "AMPY_DEV_BARS", jetstream.ConsumerConfig{
		Durable: "raw" + strconv.FormatInt(benchRun.Add(1), 10), AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: 20_000,
	})
	if err != nil {
		b.Fatal(err)
	}
	began := startClock(b)
	n := 0
	done := make(chan struct{})
	cc, err := c.Consume(func(m jetstream.Msg) {
		_ = m.Ack()
		if n++; n == b.N {
			close(done)
		}
	}, jetstream.PullMaxMessages(10_000))
	if err != nil {
		b.Fatal(err)
	}
	<-done
	began.report(b)
	cc.Stop()
}

func benchReader(b *testing.B, url string) {
	tr := dial(b, Config{URL: url})
	began := startClock(b)
	r, err := tr.Read(b.Context(), driver.ReadConfig{Pattern: benchPattern})
	if err != nil {
		b.Fatal(err)
	}
	for n := 0; n < b.N; {
		ds, err := r.Next(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		n += len(ds)
	}
	began.report(b)
	b.StopTimer()
	_ = r.Close()
}

func benchRawOrdered(b *testing.B, url string) {
	nc, err := nats.Connect(url)
	if err != nil {
		b.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		b.Fatal(err)
	}
	began := startClock(b)
	c, err := js.OrderedConsumer(b.Context(), "AMPY_DEV_BARS", jetstream.OrderedConsumerConfig{})
	if err != nil {
		b.Fatal(err)
	}
	n := 0
	done := make(chan struct{})
	cc, err := c.Consume(func(jetstream.Msg) {
		if n++; n == b.N {
			close(done)
		}
	}, jetstream.PullMaxMessages(20_000))
	if err != nil {
		b.Fatal(err)
	}
	<-done
	began.report(b)
	cc.Stop()
}

// BenchmarkBookkeeping is what the transport adds to the client for a record
// received; for one sent it is BenchmarkHeaderMap and BenchmarkPubAck.
func BenchmarkBookkeeping(b *testing.B) {
	hs := benchHeaders("XNAS.S1", 1)
	b.Run("receive", func(b *testing.B) {
		p := &puller{t: &Transport{}, c: pullConfig{wake: make(chan struct{}, 1)}, asked: 1 << 60, room: 1 << 60}
		l := &lane{}
		m := &nats.Msg{Subject: "ampy.dev.bars.v1.XNAS.S1", Header: rawHeader(hs, "id"), Data: make([]byte, 128)}
		b.ReportAllocs()
		for n := range b.N {
			m.Reply = "$JS.ACK.AMPY_DEV_BARS.g1.1." + strconv.Itoa(n+1) + "." + strconv.Itoa(n+1) + ".1722345678901234567.1000"
			p.receive(m)
			if n%256 == 255 {
				as, _ := p.take()
				l.book(as)
				l.open = nil
			}
		}
	})
}
