// Package durable keeps bytes in files so that a crash at any step leaves the
// state before the step or the state after it. A Log appends frames and is
// rewritten as a whole now and then; Replace writes a small file anew. What can
// be neither state is an error that matches ErrCorrupt, never an empty start.
//
// It assumes of the disk what POSIX promises: what was synced stays, a rename
// is whole, and of what was not synced anything or nothing is there. It
// detects changed bits; it cannot detect that a whole file was replaced by an
// older copy of itself, or cut off behind a frame.
package durable
