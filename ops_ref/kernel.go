package opsref

import (
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_ref/internal/par"
)

// Kernel computes one node.
type Kernel[T Float] func(c *Call[T]) error

// Call is the operands of one node. A kernel writes Out and, where the op updates an input in place, that input,
// whose view Out repeats.
type Call[T Float] struct {
	In, Out []View[T]
	Attrs   any
	Pool    *par.Pool

	Invariant bool // see ops.Graph
}

// For calls f on [0,n) cut into ranges of grain indexes, the last of which may be shorter, on the device's threads:
// the ranges do not depend on how many there are. A panic in f is the error.
func (c *Call[T]) For(n, grain int, f func(lo, hi int)) error { return c.Pool.For(n, grain, f) }

// kernel is an op's implementation in both precisions.
type kernel struct {
	f32 Kernel[float32]
	f64 Kernel[float64]
}

var kernels = map[*ops.Def]kernel{}

// Register installs the kernel of d; op files call it from init with one generic function twice.
func Register(d *ops.Def, f32 Kernel[float32], f64 Kernel[float64]) {
	if _, ok := kernels[d]; ok {
		panic("opsref: duplicate kernel for " + d.Name)
	}
	kernels[d] = kernel{f32, f64}
}

// KernelOf returns the float32 kernel of d, for devices that fall back to it and tests that wrap it; nil if there is
// none.
func KernelOf(d *ops.Def) Kernel[float32] { return kernels[d].f32 }
