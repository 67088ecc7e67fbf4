// Package blobstore has stores for payloads that are too large for a record
// (specification §9): a directory, and memory for tests. Object stores of other
// kinds implement ampybus.BlobStore the same way.
//
//	dir, err := blobstore.OpenDir("/var/lib/ampy/blobs")
//	if err != nil {
//		return err
//	}
//	defer dir.Close()
//	options := ampybus.Options{Blobs: dir}
//
// Objects are named by their hash, so the same payload is kept once, and a
// reader can always tell whether it holds the right bytes. Nothing here deletes:
// an object must outlive every record that points to it, replays included.
package blobstore
