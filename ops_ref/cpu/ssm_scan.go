package cpu

import (
	"math"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_ref/internal/index"
	"github.com/hipengine/hipengine/ops_ref/internal/par"
	"github.com/hipengine/hipengine/ops_ref/internal/scalar"
	"github.com/hipengine/hipengine/ops_ref/internal/simd"
	"github.com/hipengine/hipengine/tensor"
)

func init() { Register(ops.SSMScanOp, bindSSMScan) }

// ssmScanTask runs the recurrence token by token, so that bits do not depend on how a prompt is cut. Blocks of rows of
// a head's state are as large as those of gatedDeltaTask.
type ssmScanTask struct {
	shared
	x, dt, bias, a, d, out, state []float32
	heads, dim, ds, groups        int
	at                            *index.Sequences
}

func bindSSMScan(b *Binding) Task {
	in, state := b.Call.In, b.Call.Out[1]
	t := &ssmScanTask{x: in[0].F, dt: in[1].F, bias: in[2].F, a: in[3].F, d: in[4].F, out: b.Call.Out[0].F,
		state: state.F, heads: state.Shape[1], dim: state.Shape[2], ds: state.Shape[3],
		groups: b.Call.Attrs.(ops.SSMScanAttrs).Groups}
	if state.DType != tensor.F32 || t.bias == nil || t.a == nil || t.d == nil || !simd.DeltaSupported(t.dim, t.ds) ||
		simd.Current() == simd.Generic {
		return nil
	}
	t.at = b.states(6, in[0].Shape[0], state.Shape[0])
	return t
}

// Run takes blocks of rows of a head of a sequence.
func (t *ssmScanTask) Run(w *par.Worker) error {
	if w.ID == 0 {
		clear(t.out[t.at.End()*t.heads*t.dim:]) // padding
	}
	blocks := (t.dim + deltaRows - 1) / deltaRows
	for {
		i, _, ok := t.next.Take(1, t.at.Len()*t.heads*blocks)
		if !ok {
			return nil
		}
		b, h, row := i/blocks/t.heads, i/blocks%t.heads, i%blocks*deltaRows
		t.rows(b, h, row, min(row+deltaRows, t.dim))
	}
}

// rows advances rows lo to hi-1 of the state of sequence b and head h.
func (t *ssmScanTask) rows(b, h, lo, hi int) {
	inner, group := t.heads*t.dim, h/(t.heads/t.groups)
	place := func(slot int) []float32 { return t.state[((slot*t.heads+h)*t.dim+lo)*t.ds:][:(hi-lo)*t.ds] }
	s := place(t.at.Slot(b))
	var scratch [deltaRows]float32
	u := scratch[:hi-lo]
	for token := int(t.at.Starts[b]); token < int(t.at.Starts[b+1]); token++ {
		in := t.x[token*(inner+2*t.groups*t.ds):]
		x, out := in[h*t.dim+lo:h*t.dim+hi], t.out[(token*t.heads+h)*t.dim:][lo:hi]
		delta := scalar.Softplus(float64(t.dt[token*t.heads+h]) + float64(t.bias[h]))
		for j, v := range x {
			u[j] = float32(delta) * v
		}
		step := simd.Scan{B: in[inner+group*t.ds:][:t.ds], C: in[inner+(t.groups+group)*t.ds:][:t.ds], U: u, O: out,
			Decay: float32(math.Exp(delta * float64(t.a[h])))}
		step.Step(s)
		for j, v := range x {
			out[j] += float32(t.d[h] * v)
		}
		if slot := t.at.Kept(b, token); slot >= 0 {
			copy(place(slot), s)
		}
	}
}
