// Command contractgen writes the contract's tables as JSON, for the other
// languages and for the documentation. Go is the source of both: change the
// table there, then run
//
//	go run ./internal/contractgen
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	out := flag.String("out", "contract", "directory to write to")
	flag.Parse()
	if err := write(*out); err != nil {
		fmt.Fprintln(os.Stderr, "contractgen:", err)
		os.Exit(1)
	}
}

func write(dir string) error {
	files, err := generate()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("write contract: %w", err)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return fmt.Errorf("write contract: %w", err)
		}
	}
	return nil
}

// generate is the content of each file by its name.
func generate() (map[string][]byte, error) {
	files := make(map[string][]byte)
	for name, value := range map[string]any{"headers.json": headers(), "domains.json": domains()} {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if err := e.Encode(value); err != nil {
			return nil, fmt.Errorf("encode %s: %w", name, err)
		}
		files[name] = b.Bytes()
	}
	return files, nil
}
