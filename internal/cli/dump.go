package cli

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// dump is a directory that dead letters are written to: NAME.bin holds the
// payload, NAME.json the headers. A nil dump writes nothing.
type dump struct {
	dir  string
	root *os.Root
}

// Payloads may be personal or secret: only the user who asked may read them.
const (
	dumpDirMode  = 0o700
	dumpFileMode = 0o600
)

func openDump(dir string) (*dump, error) {
	if dir == "" {
		return nil, nil
	}
	if err := os.MkdirAll(dir, dumpDirMode); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &dump{dir, root}, nil
}

func (d *dump) close() {
	if d != nil {
		_ = d.root.Close()
	}
}

// write stores a dead letter and returns the path of its payload.
func (d *dump) write(m *ampybus.DeadLetter, doc deadLetterDoc) (string, error) {
	if d == nil {
		return "", nil
	}
	doc.PayloadBase64, doc.PayloadJSON = nil, nil
	headers, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return "", fmt.Errorf("encode headers: %w", err)
	}
	name := dumpName(m)
	if err := d.create(name+".bin", payloadOf(m.Message)); err != nil {
		return "", err
	}
	return filepath.Join(d.dir, name+".bin"), d.create(name+".json", append(headers, '\n'))
}

// dumpName holds nothing that a message says: a sequence number of the broker,
// and a hash of where it is stored and what it holds.
func dumpName(m *ampybus.DeadLetter) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n", m.Origin())
	h.Write(m.Record.Value)
	return strconv.FormatUint(m.Pos, 10) + "-" + hex.EncodeToString(h.Sum(nil)[:8])
}

// create writes a file that is not there yet. It follows no symbolic link and
// never leaves the directory. A file that holds the same bytes already, from an
// earlier inspection, is left alone.
func (d *dump) create(name string, data []byte) error {
	f, err := d.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, dumpFileMode)
	if errors.Is(err, fs.ErrExist) && d.holds(name, data) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", d.dir, err)
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Close())
	if err != nil {
		_ = d.root.Remove(name)
		return fmt.Errorf("write %s: %w", filepath.Join(d.dir, name), err)
	}
	return nil
}

// holds reports whether name is a regular file of just these bytes.
func (d *dump) holds(name string, data []byte) bool {
	info, err := d.root.Lstat(name)
	if err != nil || !info.Mode().IsRegular() || info.Size() != int64(len(data)) {
		return false
	}
	have, err := d.root.ReadFile(name)
	return err == nil && bytes.Equal(have, data)
}
