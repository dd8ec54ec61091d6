// Package runner turns a loaded model and a device into steps: one call of Step runs one compiled plan over the
// new tokens of several sequences and returns logits. It owns the sequences' KV pages and recurrent state.
//
// # Taking tokens back
//
// Who proposes tokens gives a sequence those with Work.Rewind, the number of tokens at the end that may be wrong, gets
// the logits of all of them, and cuts the wrong ones off with Truncate. How many that can be, Limits.Rewinds says. Keys
// and values are in pages, of which fewer count then. Recurrent state is another matter: Options.Rewind reserves places
// for states beside the last ones of sequences, a step leaves the state after each such token in one of them, and
// Truncate makes one of them the sequence's own, until the next step gives the others to others. No state is copied, and
// steps that take nothing back run the plans that they run without Options.Rewind.
package runner
