package blobstore

import (
	"fmt"
	"strings"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

const (
	hashPrefix = "sha256:"
	hexDigits  = "0123456789abcdef"
)

// objectName is sha256/ab/abcd…: 256 folders keep each one small.
func objectName(hash string) (string, error) {
	sum, ok := strings.CutPrefix(hash, hashPrefix)
	if !ok || !isSum(sum) {
		return "", &ampybus.BlobError{Code: ampybus.CodeBlobHash, Problem: fmt.Sprintf("%q is not sha256: and 64 hexadecimal digits", hash)}
	}
	return "sha256/" + sum[:2] + "/" + sum, nil
}

func isObjectName(name string) bool {
	parts := strings.Split(name, "/")
	return len(parts) == 3 && parts[0] == "sha256" && isSum(parts[2]) && parts[1] == parts[2][:2]
}

func isSum(s string) bool { return len(s) == 64 && strings.Trim(s, hexDigits) == "" }
