package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/AmpyFin/ampy-bus/internal/terminal"
)

// account holds who changes something, and why, and where that is kept beside
// the settlements on the bus.
type account struct {
	reason, requester, audit string
}

// addAccount adds the flags that are recorded with what a command changes.
func (f *account) addAccount(a *app, cmd *cobra.Command, reason string) {
	fs := cmd.Flags()
	fs.StringVar(&f.reason, "reason", reason, "why; it is recorded (`TEXT`)")
	fs.StringVar(&f.requester, "requester", defaultProducer(a.prog.Name), "who asks: a service or role, not a person; it is recorded (`NAME`)")
	fs.StringVar(&f.audit, "audit", "", "append a JSON line of who, why and what to this `FILE` (else to stderr)")
}

// defaultProducer names this command on this machine. Only the first label of
// the host's name: with a dot it would look like an e-mail address.
func defaultProducer(program string) string {
	host, err := os.Hostname()
	host, _, _ = strings.Cut(host, ".")
	if err != nil || host == "" {
		host = "cli"
	}
	return or(program, "ampybusctl") + "@" + host
}

// auditEntry is one line: who did what to which messages, and why.
type auditEntry struct {
	Time      time.Time        `json:"time"`
	Action    string           `json:"action"`
	Requester string           `json:"requester"`
	Reason    string           `json:"reason"`
	Subject   string           `json:"subject"`
	Counts    map[string]int   `json:"counts"`
	Error     string           `json:"error,omitempty"` // what ended it early
	Messages  []auditedMessage `json:"messages"`
}

// auditedMessage is what became of one dead letter.
type auditedMessage struct {
	Origin    string `json:"origin"`
	MessageID string `json:"message_id"`
	Outcome   string `json:"outcome"`
	NewOrigin string `json:"new_origin,omitempty"`
	Repaired  bool   `json:"repaired,omitempty"` // its payload was replaced
}

func (f *account) entry(action, subject string) *auditEntry {
	return &auditEntry{
		Action: action, Requester: f.requester, Reason: f.reason, Subject: subject,
		Counts: make(map[string]int), Messages: []auditedMessage{},
	}
}

func (e *auditEntry) add(m auditedMessage) {
	e.Messages = append(e.Messages, m)
	e.Counts[m.Outcome]++
}

// auditLog takes one line: in a file, or on stderr.
type auditLog struct {
	name string
	file *os.File
	errs io.Writer
}

// openAudit opens the file before anything is changed: what cannot be recorded
// is not done.
func (f *account) openAudit(a *app) (*auditLog, error) {
	l := &auditLog{name: f.audit, errs: a.err}
	if f.audit == "" {
		return l, nil
	}
	file, err := os.OpenFile(f.audit, os.O_WRONLY|os.O_APPEND|os.O_CREATE|syscall.O_NONBLOCK, dumpFileMode)
	if err != nil {
		return nil, usagef("--audit: %w", err)
	}
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		_ = file.Close()
		return nil, usagef("--audit: %s: %w", f.audit, errNotRegular)
	}
	l.file = file
	return l, nil
}

// write appends the entry, and is back when it is on the disk.
func (l *auditLog) write(e *auditEntry) error {
	e.Time = time.Now().UTC()
	line, err := jsonLine(e)
	if err != nil {
		return err
	}
	if l.file == nil {
		_, err = io.WriteString(l.errs, terminal.EscapeText(line))
		return err
	}
	_, err = l.file.WriteString(line)
	if err = errors.Join(err, l.file.Sync()); err != nil {
		return fmt.Errorf("--audit: what was done is not recorded in %s: %w", l.name, err)
	}
	return nil
}

func (l *auditLog) close() {
	if l.file != nil {
		_ = l.file.Close()
	}
}
