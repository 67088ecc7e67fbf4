package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/AmpyFin/ampy-bus/internal/terminal"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/fixture"
)

func (a *app) validateFixture() *cobra.Command {
	var (
		files []string
		dir   string
	)
	cmd := &cobra.Command{
		Use:   "validate-fixture",
		Short: "Check envelopes in JSON files against the contract",
		Long: `Check envelopes in JSON files against the contract. It needs no broker.

Exit 3: an envelope breaks the contract. Exit 2: a file is no fixture at all.`,
		Example: `  ampybusctl validate-fixture --file examples/bars_v1_XNAS_AAPL.json
  ampybusctl validate-fixture --dir examples/`,
	}
	cmd.Flags().StringArrayVar(&files, "file", nil, "`FILE` to check; may be given several times")
	cmd.Flags().StringVar(&dir, "dir", "", "check every .json file in this `DIR`")
	a.outputFlag(cmd)
	return a.command(cmd, func(*cobra.Command) error {
		names, err := fixtureFiles(files, dir)
		if err != nil {
			return err
		}
		return a.validateFiles(names)
	})
}

func fixtureFiles(files []string, dir string) ([]string, error) {
	if (len(files) > 0) == (dir != "") {
		return nil, usagef("--file, --dir: give one of them")
	}
	if dir == "" {
		return files, nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, usagef("--dir: %w", err)
	}
	for _, e := range entries {
		if !e.IsDir() && filepath.Ext(e.Name()) == ".json" {
			files = append(files, filepath.Join(dir, e.Name()))
		}
	}
	if len(files) == 0 {
		return nil, exitf(ExitNothing, "--dir: %s holds no .json file", dir)
	}
	slices.Sort(files)
	return files, nil
}

// fixtureDoc is the verdict on one file as JSON.
type fixtureDoc struct {
	File   string   `json:"file"`
	OK     bool     `json:"ok"`
	Faults []string `json:"faults,omitempty"`
	Lints  []string `json:"lints,omitempty"`
}

func (a *app) validateFiles(names []string) error {
	unreadable, invalid := 0, 0
	for _, name := range names {
		f, err := fixture.ReadFile(name)
		doc := fixtureDoc{File: name}
		if err != nil {
			unreadable++
			err = withoutPath(name, err)
		} else if doc.Lints, err = f.Validate(); err != nil {
			invalid++
		}
		doc.OK = err == nil
		doc.Faults = lines(err)
		if err := a.showFixture(doc); err != nil {
			return err
		}
	}
	switch {
	case invalid > 0:
		return exitf(ExitCheck, "%d of %d break the contract", invalid+unreadable, len(names))
	case unreadable > 0:
		return exitf(ExitUsage, "%d of %d are no fixtures", unreadable, len(names))
	}
	return nil
}

// withoutPath leaves the file's name to the line's beginning.
func withoutPath(name string, err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return errors.New(strings.ReplaceAll(err.Error(), name+": ", ""))
}

func lines(err error) []string {
	if err == nil {
		return nil
	}
	return strings.Split(err.Error(), "\n")
}

func (a *app) showFixture(d fixtureDoc) error {
	if a.output == formatJSON {
		return a.printJSON(d)
	}
	verdict := "ok     "
	if !d.OK {
		verdict = "invalid"
	}
	_, err := fmt.Fprintf(a.out, "%s %s\n", verdict, terminal.Escape(d.File))
	for _, fault := range d.Faults {
		fmt.Fprintf(a.out, "        %s\n", terminal.Escape(fault))
	}
	for _, lint := range d.Lints {
		fmt.Fprintf(a.out, "        remark: %s\n", terminal.Escape(lint))
	}
	return err
}
