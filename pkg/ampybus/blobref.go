package ampybus

import (
	"errors"
	"net/url"
	"strconv"
	"strings"
)

// BlobRef is a blob reference, taken apart.
type BlobRef struct {
	// Scheme and Host (or bucket) are in lower case.
	Scheme, Host string
	// Path is unescaped and begins with a slash.
	Path string
	// Version is the object's version, if the reference names one.
	Version string
}

// ParseBlobRef reads a reference such as s3://bucket/key?versionId=x. It refuses
// what could reach another place than it says: user names, ports, addresses in
// any notation, and local names. Which schemes and hosts are served is a
// store's matter: see BlobRules. The error is a *BlobError.
func ParseBlobRef(ref string) (BlobRef, error) {
	if ref == "" || len(ref) > refValue {
		return BlobRef{}, &BlobError{Code: CodeBlobRef, Problem: strconv.Itoa(len(ref)) + " bytes, 1 to " + strconv.Itoa(refValue) + " are allowed"}
	}
	if fault, ascii := valueFault(ref); fault != "" || !ascii {
		return BlobRef{}, &BlobError{Code: CodeBlobRef, Problem: "not printable ASCII"}
	}
	u, err := url.Parse(ref)
	if err != nil || u.Scheme == "" || u.Opaque != "" || u.Fragment != "" {
		return BlobRef{}, &BlobError{Code: CodeBlobRef, Problem: "not of the form scheme://bucket/key"}
	}
	if u.User != nil {
		return BlobRef{}, &BlobError{Code: CodeBlobHost, Problem: "a user name is not allowed"}
	}
	if err := checkBlobHost(u.Host); err != nil {
		return BlobRef{}, err
	}
	if len(u.Path) < 2 || hasDotSegment(u.Path) {
		return BlobRef{}, &BlobError{Code: CodeBlobRef, Problem: "no key, or one with . or .. parts"}
	}
	return BlobRef{
		Scheme: strings.ToLower(u.Scheme), Host: strings.ToLower(u.Host),
		Path: u.Path, Version: u.Query().Get("versionId"),
	}, nil
}

// checkBlobHost allows DNS and bucket names.
func checkBlobHost(host string) error {
	if host == "" {
		return nil
	}
	for i := range len(host) {
		c := host[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.':
		default:
			return &BlobError{Code: CodeBlobHost, Problem: "ports and addresses are not allowed"}
		}
	}
	name := strings.TrimSuffix(strings.ToLower(host), ".")
	dot := strings.LastIndexByte(name, '.')
	last := name[dot+1:]
	switch {
	case isNumeric(last):
		return &BlobError{Code: CodeBlobHost, Problem: "addresses are not allowed"}
	case last == "localhost", dot >= 0 && (last == "local" || last == "internal"):
		return &BlobError{Code: CodeBlobHost, Problem: "local names are not allowed"}
	}
	return nil
}

// isNumeric reports a last label that resolvers take for an address: 127.1,
// 0x7f000001, 2130706433. An empty label is no name either.
func isNumeric(label string) bool {
	if hex, ok := strings.CutPrefix(label, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return strings.Trim(label, "0123456789") == ""
}

func hasDotSegment(path string) bool {
	for part := range strings.SplitSeq(path, "/") {
		if part == "." || part == ".." {
			return true
		}
	}
	return strings.Contains(path, `\`)
}

// checkBlobPointer checks that the three headers of a pointer belong together.
// Its errors are *FieldError, so that each names its header.
func checkBlobPointer(h *Headers) error {
	if h.BlobRef == "" {
		if h.BlobHash == "" && h.BlobSize == 0 {
			return nil
		}
		return &FieldError{Field: HeaderBlobRef, Problem: "missing beside blob_hash or blob_size", Fix: "set all three or none", Code: CodeBlobRef}
	}
	var errs []error
	if _, err := ParseBlobRef(h.BlobRef); err != nil {
		errs = append(errs, blobFieldError(err))
	}
	if !isSHA256(h.BlobHash) {
		errs = append(errs, &FieldError{Field: HeaderBlobHash, Value: h.BlobHash, Problem: "not sha256: and 64 hexadecimal digits", Fix: "write the hash of the object", Code: CodeBlobHash})
	}
	if h.BlobSize <= 0 || h.BlobSize > MaxBlobBytes {
		errs = append(errs, &FieldError{Field: HeaderBlobSize, Value: strconv.FormatInt(h.BlobSize, 10), Problem: "not from 1 to " + strconv.Itoa(MaxBlobBytes), Fix: "write the object's size in bytes", Code: CodeBlobSize})
	}
	return errors.Join(errs...)
}

func blobFieldError(err error) error {
	var b *BlobError
	if errors.As(err, &b) {
		return &FieldError{Field: HeaderBlobRef, Problem: b.Problem, Fix: "write a reference such as s3://bucket/key", Code: b.Code}
	}
	return err
}
