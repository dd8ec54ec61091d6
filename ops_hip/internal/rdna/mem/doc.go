// Package mem is the address space of an emulated device.
//
// Allocations lie at addresses that no host pointer has, with unmapped gaps
// between them, so that every stray guest access is found. Guest addresses are
// only ever compared and used as offsets into Go slices.
package mem
