package opsref

import (
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_ref/internal/index"
)

func init() { Register(ops.CausalConvOp, causalConv[float32], causalConv[float64]) }

func causalConv[T Float](c *Call[T]) error {
	x, w, out, state := c.In[0], c.In[2].All(), c.Out[0], c.Out[1]
	at := index.NewSequences(c.In[3].Ints(), c.In[4].Ints(), state.Shape[0])
	if err := at.Check(x.Shape[0]); err != nil {
		return err
	}
	channels, taps := x.Shape[1], c.In[2].Shape[1]
	clear(out.F[at.End()*channels:])
	return c.Pool.For(at.Len(), 1, func(lo, hi int) {
		for b := lo; b < hi; b++ {
			first, tokens := int(at.Starts[b]), int(at.Starts[b+1]-at.Starts[b])
			if tokens == 0 {
				continue
			}
			// window is the K-1 rows before the step, followed by the step's rows.
			window := make([][]T, 0, taps-1+tokens)
			for j := range taps - 1 {
				old := state.Row(at.Slot(b)*(taps-1)+j, make([]T, channels))
				window = append(window, append([]T(nil), old...))
			}
			for t := range tokens {
				window = append(window, x.Row(first+t, nil))
			}
			for t := range tokens {
				y := out.Row(first+t, nil)
				for ch := range channels {
					var s float64
					for j := range taps {
						s += float64(w[ch*taps+j]) * float64(window[t+j][ch])
					}
					y[ch] = T(s)
				}
			}
			// store keeps the rows that the tokens after the first t need.
			store := func(slot, t int) {
				for j := range taps - 1 {
					state.SetRow(slot*(taps-1)+j, window[t+j])
				}
			}
			for t := range tokens {
				if slot := at.Kept(b, first+t); slot >= 0 {
					store(slot, t+1)
				}
			}
			store(at.Slot(b), tokens)
		}
	})
}
