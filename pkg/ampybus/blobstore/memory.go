package blobstore

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

const memoryScheme = "mem"

// Memory keeps objects in the process: for tests. The zero value is an empty
// store. It may be used from several goroutines.
type Memory struct {
	mu      sync.Mutex
	objects map[string][]byte
}

// Rules allows the mem scheme, without a host.
func (m *Memory) Rules() ampybus.BlobRules {
	return ampybus.BlobRules{Schemes: []string{memoryScheme}, Hosts: []string{""}}
}

// Put keeps a copy of body.
func (m *Memory) Put(ctx context.Context, hash string, body []byte) (string, error) {
	name, err := objectName(hash)
	if err != nil {
		return "", err
	}
	if err := ctx.Err(); err != nil {
		return "", fmt.Errorf("put blob: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.objects == nil {
		m.objects = make(map[string][]byte)
	}
	m.objects[name] = slices.Clone(body)
	return memoryScheme + ":///" + name, nil
}

// Get opens an object.
func (m *Memory) Get(ctx context.Context, ref string) (io.ReadCloser, error) {
	if err := m.Rules().Check(ref); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("get blob: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	body, ok := m.objects[strings.TrimPrefix(ref, memoryScheme+":///")]
	if !ok {
		return nil, fmt.Errorf("get blob: %w", fs.ErrNotExist)
	}
	return io.NopCloser(bytes.NewReader(body)), nil
}

// Len is the number of objects.
func (m *Memory) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.objects)
}
