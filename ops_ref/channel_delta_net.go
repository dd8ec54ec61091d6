package opsref

import (
	"math"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_ref/internal/index"
)

func init() { Register(ops.ChannelDeltaNetOp, channelDeltaNet[float32], channelDeltaNet[float64]) }

// channelDeltaNet runs the recurrence token by token, each row of each head's state by itself: decay, predict v from
// the decayed row, write what was missing, read.
func channelDeltaNet[T Float](c *Call[T]) error {
	q, k, v, g, beta, out, state := c.In[0], c.In[1], c.In[2], c.In[3], c.In[4].F, c.Out[0], c.Out[1]
	seqs, scale := index.NewSequences(c.In[6].Ints(), c.In[7].Ints(), state.Shape[0]),
		float64(c.Attrs.(ops.ChannelDeltaNetAttrs).Scale)
	if err := seqs.Check(q.Shape[0]); err != nil {
		return err
	}
	heads, dv, dk := v.Shape[1], v.Shape[2], q.Shape[2]
	clear(out.F[seqs.End()*heads*dv:])
	return c.Pool.For(seqs.Len()*heads*dv, 4, func(lo, hi int) {
		row := make([]T, dk)
		for i := lo; i < hi; i++ {
			b, h, j := i/dv/heads, i/dv%heads, i%dv
			first, end := int(seqs.Starts[b]), int(seqs.Starts[b+1])
			if first == end {
				continue
			}
			at := func(slot int) int { return (slot*heads+h)*dv + j }
			copy(row, state.Row(at(seqs.Slot(b)), make([]T, dk)))
			for t := first; t < end; t++ {
				for n, x := range g.Row(t*heads+h, nil) {
					row[n] = T(math.Exp(float64(x)) * float64(row[n]))
				}
				keys := k.Row(t*heads+h, nil)
				u := float64(beta[t*heads+h]) * (float64(v.Row(t*heads+h, nil)[j]) - dot(row, keys))
				for n, x := range keys {
					row[n] += T(u * float64(x))
				}
				out.Row(t*heads+h, nil)[j] = T(scale * dot(row, q.Row(t*heads+h, nil)))
				if slot := seqs.Kept(b, t); slot >= 0 {
					state.SetRow(at(slot), row)
				}
			}
			state.SetRow(at(seqs.Slot(b)), row)
		}
	})
}
