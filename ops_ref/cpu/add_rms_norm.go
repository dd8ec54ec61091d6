package cpu

import (
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_ref/internal/par"
	"github.com/hipengine/hipengine/ops_ref/internal/simd"
)

func init() { Register(ops.AddRMSNormOp, bindAddRMSNorm) }

// addNormTask adds rows and normalizes the sums while they are in the first cache.
type addNormTask struct {
	fixed
	x, y, weight []float32
	sum, out     []float32
	eps          float64
}

func bindAddRMSNorm(b *Binding) Task {
	in, out := b.Call.In, b.Call.Out
	return &addNormTask{x: in[0].F, y: in[1].F, weight: in[2].F, sum: out[0].F, out: out[1].F,
		eps: float64(b.Call.Attrs.(ops.NormAttrs).Eps)}
}

// extent returns the rows, and those of a unit.
func (t *addNormTask) extent() (n, grain int) {
	return len(t.x) / len(t.weight), max(1, elementGrain/len(t.weight))
}

// Run computes the worker's rows.
func (t *addNormTask) Run(w *par.Worker) error {
	n := len(t.weight)
	lo, hi := part(w, t)
	for i := lo; i < hi; i++ {
		sum := t.sum[i*n:][:n]
		simd.Add.Apply(sum, t.x[i*n:][:n], t.y[i*n:][:n], 0, 0)
		simd.ScaleMul.Apply(t.out[i*n:][:n], sum, t.weight, rmsScale(sum, t.eps), 0)
	}
	return nil
}
