package cpu

import (
	"math"

	"github.com/hipengine/hipengine/ops"
	opsref "github.com/hipengine/hipengine/ops_ref"
	"github.com/hipengine/hipengine/ops_ref/internal/par"
	"github.com/hipengine/hipengine/ops_ref/internal/simd"
)

func init() {
	Register(ops.RMSNormOp, bindNorm)
	Register(ops.L2NormOp, bindNorm)
	Register(ops.LayerNormOp, bindNorm)
}

// normTask scales rows by what their squares, summed in float64, say.
type normTask struct {
	fixed
	x, out opsref.View[float32]
	weight []float32 // nil for L2Norm
	bias   []float32 // nil for none
	center bool      // LayerNorm: of what differs from the mean
	eps    float64
}

func bindNorm(b *Binding) Task {
	t := &normTask{x: b.Call.In[0], out: b.Call.Out[0], eps: float64(b.Call.Attrs.(ops.NormAttrs).Eps),
		center: b.Node.Op == ops.LayerNormOp}
	for i, v := range b.Call.In[1:] {
		if v.F == nil {
			return nil
		}
		*[]*[]float32{&t.weight, &t.bias}[i] = v.F
	}
	return t
}

// extent returns the rows, and those of a unit.
func (t *normTask) extent() (n, grain int) {
	return t.x.Shape.Rows(), max(1, elementGrain/t.x.Shape.Last())
}

// Run normalizes the worker's rows.
func (t *normTask) Run(w *par.Worker) error {
	n := t.x.Shape.Last()
	lo, hi := part(w, t)
	for i := lo; i < hi; i++ {
		x, y := t.x.F[i*n:][:n], t.out.F[i*n:][:n]
		if t.weight == nil {
			simd.Scale.Apply(y, x, float32(1/math.Sqrt(simd.SumSquares(x)+t.eps)))
			continue
		}
		if t.center {
			x = centered(y, x)
		}
		simd.ScaleMul.Apply(y, x, t.weight, rmsScale(x, t.eps), 0)
		if t.bias != nil {
			simd.Add.Apply(y, y, t.bias, 0, 0)
		}
	}
	return nil
}

// centered fills y with x less its mean.
func centered(y, x []float32) []float32 {
	var sum float64
	for _, v := range x {
		sum += float64(v)
	}
	mean := sum / float64(len(x))
	for i, v := range x {
		y[i] = float32(float64(v) - mean)
	}
	return y
}

// rmsScale returns the factor of RMSNorm for a row.
func rmsScale(x []float32, eps float64) float32 {
	return float32(1 / math.Sqrt(simd.SumSquares(x)/float64(len(x))+eps))
}
