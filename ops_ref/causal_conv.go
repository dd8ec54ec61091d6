package opsref

import (
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_ref/internal/index"
)

func init() { Register(ops.CausalConvOp, causalConv[float32], causalConv[float64]) }

func causalConv[T Float](c *Call[T]) error {
	x, w, out, state := c.In[0], c.In[2].All(), c.Out[0], c.Out[1]
	starts, slots := c.In[3].Ints(), c.In[4].Ints()
	if err := index.NewSequences(starts, slots, state.Shape[0]).Check(x.Shape[0]); err != nil {
		return err
	}
	channels, taps := x.Shape[1], c.In[2].Shape[1]
	clear(out.F[int(starts[len(slots)])*channels:])
	return c.Pool.For(len(slots), 1, func(lo, hi int) {
		for b := lo; b < hi; b++ {
			tokens := int(starts[b+1] - starts[b])
			if tokens == 0 {
				continue
			}
			// window is the K-1 rows before the step, followed by the step's rows.
			window := make([][]T, 0, taps-1+tokens)
			for j := range taps - 1 {
				old := state.Row(int(slots[b])*(taps-1)+j, make([]T, channels))
				window = append(window, append([]T(nil), old...))
			}
			for t := range tokens {
				window = append(window, x.Row(int(starts[b])+t, nil))
			}
			for t := range tokens {
				y := out.Row(int(starts[b])+t, nil)
				for ch := range channels {
					var s float64
					for j := range taps {
						s += float64(w[ch*taps+j]) * float64(window[t+j][ch])
					}
					y[ch] = T(s)
				}
			}
			for j := range taps - 1 {
				state.SetRow(int(slots[b])*(taps-1)+j, window[tokens+j])
			}
		}
	})
}
