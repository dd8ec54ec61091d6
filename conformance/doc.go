// Package conformance checks that a device computes what the reference computes: op by op, and logits by logits.
//
// It needs no *testing.T and no GPU backend, so that a command, a test and another project's CI run the same
// suite. Bounds come from data: an op may be off from the float64 oracle by a small multiple of what the float32
// reference itself is off. Comparators are written so that NaN fails.
package conformance
