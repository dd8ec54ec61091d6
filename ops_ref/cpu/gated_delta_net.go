package cpu

import (
	"math"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_ref/internal/index"
	"github.com/hipengine/hipengine/ops_ref/internal/par"
	"github.com/hipengine/hipengine/ops_ref/internal/simd"
	"github.com/hipengine/hipengine/tensor"
)

func init() { Register(ops.GatedDeltaNetOp, bindGatedDeltaNet) }

// deltaRows is the number of rows of a head's state that one worker takes: they stay in the first cache while the
// tokens pass. Rows are independent of each other.
const deltaRows = 32

// gatedDeltaTask runs the recurrence token by token, so that bits do not depend on how a prompt is cut.
type gatedDeltaTask struct {
	shared
	q, k, v, g, beta, out, state []float32
	nk, nv, dk, dv               int
	attrs                        ops.GatedDeltaNetAttrs
	at                           *index.Sequences
}

func bindGatedDeltaNet(b *Binding) Task {
	in, state := b.Call.In, b.Call.Out[1]
	q, v := in[0], in[2]
	t := &gatedDeltaTask{q: q.F, k: in[1].F, v: v.F, g: in[3].F, beta: in[4].F, out: b.Call.Out[0].F, state: state.F,
		nk: q.Shape[1], nv: v.Shape[1], dk: q.Shape[2], dv: v.Shape[2], attrs: b.Call.Attrs.(ops.GatedDeltaNetAttrs)}
	if state.DType != tensor.F32 || !simd.DeltaSupported(t.dv, t.dk) || simd.Current() == simd.Generic {
		return nil
	}
	t.at = b.states(6, q.Shape[0], state.Shape[0])
	return t
}

// Run takes blocks of rows of a head of a sequence.
func (t *gatedDeltaTask) Run(w *par.Worker) error {
	if w.ID == 0 {
		clear(t.out[t.at.End()*t.nv*t.dv:]) // padding
	}
	blocks := (t.dv + deltaRows - 1) / deltaRows
	for {
		i, _, ok := t.next.Take(1, t.at.Len()*t.nv*blocks)
		if !ok {
			return nil
		}
		b, h, row := i/blocks/t.nv, i/blocks%t.nv, i%blocks*deltaRows
		t.rows(b, h, row, min(row+deltaRows, t.dv))
	}
}

// rows advances rows lo to hi-1 of the state of sequence b and value head h.
func (t *gatedDeltaTask) rows(b, h, lo, hi int) {
	key := h / (t.nv / t.nk)
	if t.attrs.Tiled {
		key = h % t.nk
	}
	place := func(slot int) []float32 { return t.state[((slot*t.nv+h)*t.dv+lo)*t.dk:][:(hi-lo)*t.dk] }
	s := place(t.at.Slot(b))
	for token := int(t.at.Starts[b]); token < int(t.at.Starts[b+1]); token++ {
		qk, vo, gate := (token*t.nk+key)*t.dk, (token*t.nv+h)*t.dv, token*t.nv+h
		d := simd.Delta{Q: t.q[qk:][:t.dk], K: t.k[qk:][:t.dk], V: t.v[vo+lo : vo+hi], O: t.out[vo+lo : vo+hi],
			Decay: float32(math.Exp(float64(t.g[gate]))), Beta: t.beta[gate], Scale: t.attrs.Scale}
		d.Step(s)
		if slot := t.at.Kept(b, token); slot >= 0 {
			copy(place(slot), s)
		}
	}
}

// stateKey tells them apart.
type stateKey struct {
	starts, slots  ops.Value
	tokens, places int
}

// states returns the inputs starts and slots, which begin at number i. They are checked once in a run.
func (b *Binding) states(i, tokens, places int) *index.Sequences {
	return b.Once(stateKey{b.Node.In[i], b.Node.In[i+1], tokens, places}, func() (any, Task) {
		s := index.NewSequences(b.Call.In[i].Ints(), b.Call.In[i+1].Ints(), places)
		return s, check{f: func() error { return s.Check(tokens) }}
	}).(*index.Sequences)
}
