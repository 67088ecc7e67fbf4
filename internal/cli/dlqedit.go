package cli

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/AmpyFin/ampy-bus/internal/terminal"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/fixture"
)

func (a *app) dlqEdit() *cobra.Command {
	var (
		f      oneLetterFlags
		outdir string
	)
	cmd := &cobra.Command{
		Use:   "edit",
		Short: "Write dead letters as files whose payload can be repaired",
		Long: `Write dead letters as fixtures whose payload can be repaired: as payload_json, or
where it does not decode as payload_base64, which payload_json may replace. dlq
apply --edited and dlq-redrive --edited send the repaired payload. Only the
payload may be changed. A file that is there and differs is left alone.`,
		Example: `  ampybusctl dlq edit --subject "ampy.prod.dlq.v1.bars" --origin AMPY_PROD_DLQ:17 --outdir ./fix
  ampybusctl dlq edit --subject "ampy.prod.dlq.v1.>" --message-id 018f5e35-0f42-7a31-9e77-1c2a9b11d0ef`,
	}
	f.add(cmd)
	cmd.Flags().StringVar(&outdir, "outdir", ".", "write files to this `DIR`")
	a.outputFlag(cmd)
	a.connectionFlags(cmd)
	return a.command(cmd, func(cmd *cobra.Command) error {
		if err := f.check(); err != nil {
			return err
		}
		return a.editLetters(cmd, &f, outdir)
	}, "subject", "outdir")
}

func (a *app) editLetters(cmd *cobra.Command, f *oneLetterFlags, outdir string) error {
	dir, err := openDump(outdir)
	if err != nil {
		return usagef("--outdir: %w", err)
	}
	defer dir.close()
	b, err := a.open(cmd)
	if err != nil {
		return err
	}
	defer b.Close()
	found, err := f.find(cmd, a, b)
	if err != nil {
		return err
	}
	for _, d := range found {
		if err := a.writeEditable(dir, d); err != nil {
			return fmt.Errorf("edit %s: %w", d.Origin(), err)
		}
	}
	return nil
}

// editDoc is a file that was written, as JSON.
type editDoc struct {
	Origin string `json:"origin"`
	File   string `json:"file"`
}

func (a *app) writeEditable(dir *dump, d *ampybus.DeadLetter) error {
	data, err := editable(d)
	if err != nil {
		return err
	}
	name := dumpName(d) + ".fixture.json"
	if err := dir.create(name, data); err != nil {
		return err
	}
	doc := editDoc{Origin: d.Origin(), File: filepath.Join(dir.dir, name)}
	if a.output == formatJSON {
		return a.printJSON(doc)
	}
	fmt.Fprintf(a.out, "[edit] origin=%s file=%s\n", terminal.Field(doc.Origin), terminal.Field(doc.File))
	return nil
}

// editable is a dead letter as a fixture: its payload uncompressed, and without
// the headers that follow from the payload and are made anew.
func editable(d *ampybus.DeadLetter) ([]byte, error) {
	h := d.Headers
	if h.BlobRef != "" && d.Payload == nil {
		return nil, errors.New("its payload lies in an object store that is not reached from here")
	}
	if d.Payload != nil {
		h.ContentEncoding = ""
	}
	h.PayloadHash, h.BlobRef, h.BlobHash, h.BlobSize = "", "", "", 0
	note := fmt.Sprintf("dead letter %s: repair the payload, as payload_json of %s", d.Origin(), h.SchemaFQDN)
	data, err := fixture.Marshal(fixture.Fixture{
		Envelope: ampybus.Envelope{Topic: d.Topic, Headers: h, Payload: payloadOf(d.Message)}, Note: note,
	})
	if err != nil {
		return nil, err
	}
	if _, err := fixture.Parse(data); err != nil {
		return nil, exitf(ExitFailure, "it is not only the payload that is broken: %v", err)
	}
	return data, nil
}
