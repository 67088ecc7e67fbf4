package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/natsbinding"
)

const (
	// rawPending is as many unacknowledged messages as the bus allows itself.
	rawPending = 4096
	// rawStall is how long a publish waits for room, as on the bus.
	rawStall = time.Minute
)

// RawNATS uses the client library alone, as somebody would without the bus: the
// same headers and ids, pipelined, no validation, no order per key and no retry.
type RawNATS struct {
	nc *nats.Conn
	js jetstream.JetStream

	mu   sync.Mutex
	done map[*nats.Msg]func(error)
}

// DialRawNATS connects as c says.
func DialRawNATS(c natsbinding.Config) (*RawNATS, error) {
	opts, err := rawOptions(c)
	if err != nil {
		return nil, err
	}
	url := c.URL
	if url == "" {
		url = natsbinding.DefaultURL
	}
	r := &RawNATS{done: make(map[*nats.Msg]func(error))}
	if r.nc, err = nats.Connect(url, opts...); err != nil {
		return nil, fmt.Errorf("connect for the comparison: %w", err)
	}
	r.js, err = jetstream.New(r.nc,
		jetstream.WithPublishAsyncMaxPending(rawPending),
		jetstream.WithPublishAsyncAckHandler(func(_ jetstream.JetStream, m *nats.Msg, _ *jetstream.PubAck) { r.settle(m, nil) }),
		jetstream.WithPublishAsyncErrHandler(func(_ jetstream.JetStream, m *nats.Msg, err error) { r.settle(m, err) }),
	)
	if err != nil {
		r.nc.Close()
		return nil, fmt.Errorf("connect for the comparison: %w", err)
	}
	return r, nil
}

func rawOptions(c natsbinding.Config) ([]nats.Option, error) {
	opts := []nats.Option{nats.Timeout(c.ConnectTimeout), nats.Name(c.Name)}
	switch {
	case c.User != "":
		opts = append(opts, nats.UserInfo(c.User, c.Pass))
	case c.Token != "":
		opts = append(opts, nats.Token(c.Token))
	case c.CredsFile != "":
		opts = append(opts, nats.UserCredentials(c.CredsFile))
	case c.NKeySeedFile != "":
		opt, err := nats.NkeyOptionFromSeed(c.NKeySeedFile)
		if err != nil {
			return nil, fmt.Errorf("connect for the comparison: %w", err)
		}
		opts = append(opts, opt)
	}
	if c.TLS.CAFile != "" {
		opts = append(opts, nats.RootCAs(c.TLS.CAFile))
	}
	if c.TLS.CertFile != "" {
		opts = append(opts, nats.ClientCert(c.TLS.CertFile, c.TLS.KeyFile))
	}
	if c.TLS.HandshakeFirst {
		opts = append(opts, nats.TLSHandshakeFirst())
	}
	return opts, nil
}

// Publish implements Publisher.
func (r *RawNATS) Publish(e ampybus.Envelope, done func(error)) {
	m := rawMessage(e)
	r.mu.Lock()
	r.done[m] = done
	r.mu.Unlock()
	if _, err := r.js.PublishMsgAsync(m, jetstream.WithStallWait(rawStall)); err != nil {
		r.settle(m, err)
	}
}

// PublishSync implements Client.
func (r *RawNATS) PublishSync(ctx context.Context, e ampybus.Envelope) error {
	_, err := r.js.PublishMsg(ctx, rawMessage(e))
	return err
}

// PublishBatch implements Client: all pipelined, then the word for each awaited.
func (r *RawNATS) PublishBatch(ctx context.Context, es []ampybus.Envelope) error {
	words := make(chan error, len(es))
	for _, e := range es {
		r.Publish(e, func(err error) { words <- notStored(e, err) })
	}
	var errs []error
	for range es {
		select {
		case err := <-words:
			errs = append(errs, err)
		case <-ctx.Done():
			return errors.Join(append(errs, fmt.Errorf("%w: %w", ampybus.ErrUncertain, ctx.Err()))...)
		}
	}
	return errors.Join(errs...)
}

func rawMessage(e ampybus.Envelope) *nats.Msg {
	e = asSent(e)
	m := nats.NewMsg(e.Topic)
	for _, h := range ampybus.EncodeHeaders(e.Headers) {
		m.Header[h.Name] = []string{h.Value}
	}
	m.Header[nats.MsgIdHdr] = []string{e.Headers.MessageID}
	m.Data = e.Payload
	return m
}

// settle calls done once for m.
func (r *RawNATS) settle(m *nats.Msg, err error) {
	r.mu.Lock()
	done := r.done[m]
	delete(r.done, m)
	r.mu.Unlock()
	if done != nil {
		done(err)
	}
}

// Close ends the connection.
func (r *RawNATS) Close() { r.nc.Close() }
