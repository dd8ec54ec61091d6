// Package check holds the state machines behind the executor's optional checks:
// what has been written, what memory instruction is still in flight and which
// LDS accesses are ordered by a barrier. None of them knows instructions; the
// executor reports register numbers and addresses.
package check
