// Package prefix remembers states of sequences by the tokens that led to them, so that a later prompt that begins with
// the same tokens need not be read again. It is a data structure alone: what a state is, and how a sequence goes on
// from it, its user knows.
package prefix
