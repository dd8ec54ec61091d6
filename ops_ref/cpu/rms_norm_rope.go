package cpu

import (
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_ref/internal/par"
	"github.com/hipengine/hipengine/ops_ref/internal/simd"
)

func init() { Register(ops.RMSNormRoPEOp, bindRMSNormRoPE) }

// normRopeTask normalizes heads and rotates them in place.
type normRopeTask struct {
	ropeTask
	weight []float32
	eps    float64
}

func bindRMSNormRoPE(b *Binding) Task {
	a := b.Call.Attrs.(ops.RMSNormRoPEAttrs)
	return &normRopeTask{newRope(b, 2, a.RoPE), b.Call.In[1].F, float64(a.Norm.Eps)}
}

// Run computes the worker's heads.
func (t *normRopeTask) Run(w *par.Worker) error {
	lo, hi := part(w, t)
	for i := lo; i < hi; i++ {
		x, y := t.x[i*t.dim:][:t.dim], t.out[i*t.dim:][:t.dim]
		simd.ScaleMul.Apply(y, x, t.weight, rmsScale(x, t.eps), 0)
		t.head(i, y)
	}
	return nil
}
