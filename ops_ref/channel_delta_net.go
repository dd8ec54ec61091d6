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
	starts, slots, scale := c.In[6].Ints(), c.In[7].Ints(), float64(c.Attrs.(ops.ChannelDeltaNetAttrs).Scale)
	if err := index.NewSequences(starts, slots, state.Shape[0]).Check(q.Shape[0]); err != nil {
		return err
	}
	heads, dv, dk := v.Shape[1], v.Shape[2], q.Shape[2]
	clear(out.F[int(starts[len(slots)])*heads*dv:])
	return c.Pool.For(len(slots)*heads*dv, 4, func(lo, hi int) {
		row := make([]T, dk)
		for i := lo; i < hi; i++ {
			b, h, j := i/dv/heads, i/dv%heads, i%dv
			if starts[b] == starts[b+1] {
				continue
			}
			at := (int(slots[b])*heads+h)*dv + j
			copy(row, state.Row(at, make([]T, dk)))
			for t := int(starts[b]); t < int(starts[b+1]); t++ {
				for n, x := range g.Row(t*heads+h, nil) {
					row[n] = T(math.Exp(float64(x)) * float64(row[n]))
				}
				keys := k.Row(t*heads+h, nil)
				u := float64(beta[t*heads+h]) * (float64(v.Row(t*heads+h, nil)[j]) - dot(row, keys))
				for n, x := range keys {
					row[n] += T(u * float64(x))
				}
				out.Row(t*heads+h, nil)[j] = T(scale * dot(row, q.Row(t*heads+h, nil)))
			}
			state.SetRow(at, row)
		}
	})
}
