// Package disk keeps states of sequences in files, for prompts that begin with the same tokens after a restart, or
// when memory had to make room.
//
// A [Store] owns a folder below the one that its user names, of its own identity: what the states depend on beside
// their tokens. A file is one state, written to the side, synced and renamed, so that whatever ends the process
// leaves whole files and rests that the next start removes. Checksums cover all of it. A file that is damaged, or is
// not of this identity, is removed with a warning; no answer depends on it. Files hold the tokens of prompts and what
// was computed of them: they can be read by their owner alone.
package disk
