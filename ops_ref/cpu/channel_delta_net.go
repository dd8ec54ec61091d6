package cpu

import (
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_ref/internal/cast"
	"github.com/hipengine/hipengine/ops_ref/internal/index"
	"github.com/hipengine/hipengine/ops_ref/internal/par"
	"github.com/hipengine/hipengine/ops_ref/internal/simd"
	"github.com/hipengine/hipengine/tensor"
)

func init() { Register(ops.ChannelDeltaNetOp, bindChannelDeltaNet) }

// channelDeltaTask runs the recurrence token by token, so that bits do not depend on how a prompt is cut.
type channelDeltaTask struct {
	shared
	q, k, v, g, beta, out, state []float32
	heads, dk, dv                int
	scale                        float32
	at                           *index.Sequences
	decay                        *scratch // of a token
}

func bindChannelDeltaNet(b *Binding) Task {
	in, state := b.Call.In, b.Call.Out[1]
	q, v := in[0], in[2]
	t := &channelDeltaTask{q: q.F, k: in[1].F, v: v.F, g: in[3].F, beta: in[4].F, out: b.Call.Out[0].F, state: state.F,
		heads: q.Shape[1], dk: q.Shape[2], dv: v.Shape[2], scale: b.Call.Attrs.(ops.ChannelDeltaNetAttrs).Scale}
	if state.DType != tensor.F32 || !simd.DeltaSupported(t.dv, t.dk) || simd.Current() == simd.Generic {
		return nil
	}
	t.at = b.states(6, q.Shape[0], state.Shape[0])
	t.decay = b.Scratch(0, 4*t.dk)
	return t
}

// Run takes blocks of rows of a head of a sequence.
func (t *channelDeltaTask) Run(w *par.Worker) error {
	if w.ID == 0 {
		clear(t.out[t.at.End()*t.heads*t.dv:]) // padding
	}
	decay := cast.Of[float32](t.decay.local[w.ID].b)[:t.dk]
	blocks := (t.dv + deltaRows - 1) / deltaRows
	for {
		i, _, ok := t.next.Take(1, t.at.Len()*t.heads*blocks)
		if !ok {
			return nil
		}
		b, h, lo := i/blocks/t.heads, i/blocks%t.heads, i%blocks*deltaRows
		hi := min(lo+deltaRows, t.dv)
		place := func(slot int) []float32 { return t.state[((slot*t.heads+h)*t.dv+lo)*t.dk:][:(hi-lo)*t.dk] }
		s := place(t.at.Slot(b))
		for token := int(t.at.Starts[b]); token < int(t.at.Starts[b+1]); token++ {
			head := token*t.heads + h
			qk, vo := head*t.dk, head*t.dv
			copy(decay, t.g[qk:])
			simd.ExpSum(decay, 0)
			for row := 0; row < len(s); row += t.dk {
				simd.Mul.Apply(s[row:row+t.dk], s[row:row+t.dk], decay, 0, 0)
			}
			d := simd.Delta{Q: t.q[qk:][:t.dk], K: t.k[qk:][:t.dk], V: t.v[vo+lo : vo+hi], O: t.out[vo+lo : vo+hi],
				Decay: 1, Beta: t.beta[head], Scale: t.scale}
			d.Step(s)
			if slot := t.at.Kept(b, token); slot >= 0 {
				copy(place(slot), s)
			}
		}
	}
}
