package cpu

import (
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_ref/internal/par"
	"github.com/hipengine/hipengine/ops_ref/internal/simd"
)

func init() { Register(ops.GatedRMSNormOp, bindGatedRMSNorm) }

// gatedNormTask normalizes rows and multiplies them with their gates.
type gatedNormTask struct {
	fixed
	x, weight, gate, out []float32
	eps                  float64
}

func bindGatedRMSNorm(b *Binding) Task {
	in := b.Call.In
	return &gatedNormTask{x: in[0].F, weight: in[1].F, gate: in[2].F, out: b.Call.Out[0].F,
		eps: float64(b.Call.Attrs.(ops.NormAttrs).Eps)}
}

// Run computes the worker's rows.
func (t *gatedNormTask) Run(w *par.Worker) error {
	n := len(t.weight)
	lo, hi := evenly(w, len(t.x)/n, max(1, elementGrain/n))
	for i := lo; i < hi; i++ {
		x, y := t.x[i*n:][:n], t.out[i*n:][:n]
		simd.ScaleMul.Apply(y, x, t.weight, rmsScale(x, t.eps), 0)
		simd.SwiGLU.Apply(y, t.gate[i*n:][:n], y, 0, 0)
	}
	return nil
}
