package opsref

import (
	"math"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_ref/internal/index"
	"github.com/hipengine/hipengine/ops_ref/internal/scalar"
)

func init() { Register(ops.SSMScanOp, ssmScan[float32], ssmScan[float64]) }

// ssmScan runs the recurrence token by token. Rows of the state are independent: decay, add, read.
func ssmScan[T Float](c *Call[T]) error {
	x, dt, out, state := c.In[0], c.In[1], c.Out[0], c.Out[1]
	bias, a, d := c.In[2].All(), c.In[3].All(), c.In[4].All()
	seqs := index.NewSequences(c.In[6].Ints(), c.In[7].Ints(), state.Shape[0])
	if err := seqs.Check(x.Shape[0]); err != nil {
		return err
	}
	heads, dim, ds := state.Shape[1], state.Shape[2], state.Shape[3]
	groups := c.Attrs.(ops.SSMScanAttrs).Groups
	clear(out.F[seqs.End()*heads*dim:])
	return c.Pool.For(seqs.Len()*heads, 1, func(lo, hi int) {
		row := make([]T, ds)
		var delta, decay []float64 // of each token
		for i := lo; i < hi; i++ {
			b, h := i/heads, i%heads
			first, tokens, group := int(seqs.Starts[b]), int(seqs.Starts[b+1]-seqs.Starts[b]), h/(heads/groups)
			delta, decay = delta[:0], decay[:0]
			for t := range tokens {
				v := scalar.Softplus(float64(dt.Row(first+t, nil)[h]) + float64(bias[h]))
				delta, decay = append(delta, v), append(decay, math.Exp(v*float64(a[h])))
			}
			for j := 0; j < dim && tokens > 0; j++ {
				at := func(slot int) int { return (slot*heads+h)*dim + j }
				s := row
				copy(s, state.Row(at(seqs.Slot(b)), row))
				for t := range tokens {
					xt := x.Row(first+t, nil)
					in, xj := xt[heads*dim:], float64(xt[h*dim+j])
					bt, ct := in[group*ds:][:ds], in[(groups+group)*ds:][:ds]
					u := delta[t] * xj
					for k := range s {
						s[k] = T(float64(decay[t]*float64(s[k])) + float64(u*float64(bt[k])))
					}
					out.Row((first+t)*heads+h, nil)[j] = T(dot(s, ct) + float64(float64(d[h])*xj))
					if slot := seqs.Kept(b, first+t); slot >= 0 {
						state.SetRow(at(slot), s)
					}
				}
				state.SetRow(at(seqs.Slot(b)), s)
			}
		}
	})
}
