package cpu

import (
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_ref/internal/par"
	"github.com/hipengine/hipengine/ops_ref/internal/scalar"
	"github.com/hipengine/hipengine/ops_ref/internal/simd"
)

func init() {
	Register(ops.SiLUOp, bindUnary(simd.SiLU))
	Register(ops.SigmoidOp, bindUnary(simd.Sigmoid))
	Register(ops.GELUOp, bindUnary(simd.GELU))
	Register(ops.ScaleOp, bindUnary(simd.Scale))
	Register(ops.SoftcapOp, bindUnary(simd.Softcap))
	Register(ops.SoftplusOp, bindSoftplus)
	Register(ops.AddOp, bindBinary(simd.Add))
	Register(ops.MulOp, bindBinary(simd.Mul))
	Register(ops.SwiGLUOp, bindBinary(simd.SwiGLU))
	Register(ops.GeGLUOp, bindBinary(simd.GeGLU))
	Register(ops.SwiGLUClampedOp, bindBinary(simd.SwiGLUClamped))
}

// elementGrain is the number of elements below which a worker is not worth its while, and at which a kernel is
// called.
const elementGrain = 2048

// unaryTask applies a function to all elements.
type unaryTask struct {
	fixed
	f      simd.Unary
	p      float32
	x, out []float32
}

func bindUnary(f simd.Unary) Bind {
	return func(b *Binding) Task {
		t := &unaryTask{f: f, x: b.Call.In[0].F, out: b.Call.Out[0].F}
		switch a := b.Call.Attrs.(type) {
		case ops.ScaleAttrs:
			t.p = a.By
		case ops.SoftcapAttrs:
			t.p = a.Cap
		}
		return t
	}
}

// Run computes the worker's part.
func (t *unaryTask) Run(w *par.Worker) error {
	lo, hi := evenly(w, len(t.out), elementGrain)
	for ; lo < hi; lo += elementGrain {
		end := min(lo+elementGrain, hi)
		t.f.Apply(t.out[lo:end], t.x[lo:end], t.p)
	}
	return nil
}

// softplusTask is for the few elements of gates: one logarithm for each is no cost.
type softplusTask struct {
	fixed
	x, out []float32
}

func bindSoftplus(b *Binding) Task { return &softplusTask{x: b.Call.In[0].F, out: b.Call.Out[0].F} }

// Run computes the worker's part.
func (t *softplusTask) Run(w *par.Worker) error {
	lo, hi := evenly(w, len(t.out), 64)
	for i := lo; i < hi; i++ {
		t.out[i] = float32(scalar.Softplus(float64(t.x[i])))
	}
	return nil
}

// binaryTask combines all elements with those of y, which is repeated if it is shorter.
type binaryTask struct {
	fixed
	f         simd.Binary
	p, q      float32
	x, y, out []float32
}

func bindBinary(f simd.Binary) Bind {
	return func(b *Binding) Task {
		t := &binaryTask{f: f, x: b.Call.In[0].F, y: b.Call.In[1].F, out: b.Call.Out[0].F}
		if t.y == nil {
			return nil
		}
		if a, ok := b.Call.Attrs.(ops.SwiGLUClampedAttrs); ok {
			t.p, t.q = a.Alpha, a.Limit
		}
		return t
	}
}

// extent returns the elements, and those of a unit.
func (t *binaryTask) extent() (n, grain int) { return len(t.out), elementGrain }

// Run computes the worker's part.
func (t *binaryTask) Run(w *par.Worker) error {
	lo, hi := part(w, t)
	for lo < hi {
		y := lo % len(t.y)
		end := min(lo+elementGrain, hi, lo+len(t.y)-y)
		t.f.Apply(t.out[lo:end], t.x[lo:end], t.y[y:y+end-lo], t.p, t.q)
		lo = end
	}
	return nil
}
