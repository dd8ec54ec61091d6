// Package mutant holds devices with one planted defect each. A conformance suite is worth what it catches: every
// mutant must fail, at the op that is broken and at no other, while the device that it is made from passes. The
// table All is the suite's specification.
//
// Defects are planted in two ways: by rewriting what a device is asked to compile (attributes, operands, the bytes of
// weights), or by replacing a kernel of the reference backend.
package mutant
