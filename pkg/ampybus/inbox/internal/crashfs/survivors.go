package crashfs

import (
	"bytes"
	"maps"
	"slices"
)

// Survivors returns every state that the disk may be in after a crash now.
func (f *FS) Survivors() []*FS {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []*FS
	for n := range len(f.changes) + 1 {
		names := maps.Clone(f.onDisk)
		for _, c := range f.changes[:n] {
			c.apply(names)
		}
		all = append(all, variants(names)...)
	}
	return all
}

// variants are the states of a disk whose names are known: the content of each
// file varies while the others have all, or none, of what was not synced.
func variants(names map[string]*inode) []*FS {
	oldest, newest := make(map[string][]byte), make(map[string][]byte)
	for path, n := range names {
		oldest[path], newest[path] = n.onDisk, n.data
	}
	all := []*FS{With(oldest), With(newest)}
	for _, path := range slices.Sorted(maps.Keys(names)) {
		for _, content := range names[path].contents() {
			for _, others := range []map[string][]byte{oldest, newest} {
				files := maps.Clone(others)
				files[path] = content
				all = append(all, With(files))
				if len(names) == 1 {
					break // there are no others
				}
			}
		}
	}
	return all
}

// contents are what may be on disk of a file: its edits up to any byte of one,
// with that one perhaps as zeros, as where the length was written and the data
// was not.
func (n *inode) contents() [][]byte {
	data := n.onDisk
	var all [][]byte
	for _, e := range n.pending {
		for cut := range e.data {
			head := e.data[:cut]
			all = append(all,
				append(slices.Clone(data), head...),
				append(slices.Clone(data), append(slices.Clone(head), make([]byte, len(e.data)-cut)...)...))
			if cut > 0 { // a later page of it was written and an earlier one was not
				all = append(all, append(slices.Clone(data), append(bytes.Repeat([]byte{0}, cut), e.data[cut:]...)...))
			}
		}
		data = e.apply(data)
		all = append(all, data)
	}
	return all
}

// Files returns the content of every file, as programs see it.
func (f *FS) Files() map[string][]byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	files := make(map[string][]byte)
	for path, n := range f.names {
		files[path] = slices.Clone(n.data)
	}
	return files
}
