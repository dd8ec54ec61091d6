package gguf

import (
	"errors"
	"fmt"
	"strings"
)

// ErrMissing is wrapped by the errors of [Meta] getters for a key that the file does not have.
var ErrMissing = errors.New("missing key")

// MissingKeyError reports a key that the file does not have. It wraps [ErrMissing].
type MissingKeyError struct{ Key string }

// Error names the key.
func (e *MissingKeyError) Error() string { return fmt.Sprintf("gguf: key %q: %v", e.Key, ErrMissing) }

// Unwrap returns ErrMissing.
func (e *MissingKeyError) Unwrap() error { return ErrMissing }

// FormatError reports bytes that are no valid GGUF file, as opposed to bytes that could not be read.
type FormatError struct {
	Path string // the file, empty for one that was read from memory
	// what was being read, for example `key "general.name"` or `tensor "output.weight"`; empty for the file as a whole
	What   string
	Offset int64 // byte offset of the offending field, -1 when the fault lies in no single place
	Err    error // what is wrong with it
}

// Error returns the fault with the file, the field and the offset that are known.
func (e *FormatError) Error() string {
	s := "gguf: "
	if e.Path != "" {
		s += e.Path + ": "
	}
	if e.What != "" {
		s += e.What + ": "
	}
	s += strings.TrimPrefix(e.Err.Error(), "gguf: ")
	if e.Offset >= 0 {
		s += fmt.Sprintf(" (at byte %d)", e.Offset)
	}
	return s
}

// Unwrap returns e.Err.
func (e *FormatError) Unwrap() error { return e.Err }

// within puts what was being read before an error of the decoder.
func within(err error, what string, args ...any) error {
	what = fmt.Sprintf(what, args...)
	if fe, ok := err.(*FormatError); ok {
		if fe.What != "" {
			what += ": " + fe.What
		}
		fe.What = what
		return fe
	}
	return fmt.Errorf("%s: %w", what, err)
}
