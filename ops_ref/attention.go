package opsref

import (
	"math"

	"github.com/hipengine/hipengine/ops"
)

func init() { Register(ops.AttentionOp, attention[float32], attention[float64]) }

// attention computes one token and head at a time: scores, softmax, weighted sum of values.
func attention[T Float](c *Call[T]) error {
	q, k, v, out, a := c.In[0], c.In[1], c.In[2], c.Out[0], c.Attrs.(ops.AttentionAttrs)
	at, err := newPaged(k.Shape[0], k.Shape[1], c.In[3], c.In[4], c.In[5])
	if err != nil {
		return err
	}
	var sinks []T
	if len(c.In) == 7 {
		sinks = c.In[6].All()
	}
	heads, kvHeads := q.Shape[1], k.Shape[2]
	return c.Pool.For(q.Shape[0]*heads, 4, func(lo, hi int) {
		var scores, sum []float64
		scratch := make([]T, max(k.Shape[3], v.Shape[3]))
		sum = make([]float64, v.Shape[3])
		for i := lo; i < hi; i++ {
			t, h := i/heads, i%heads
			o := out.Row(i, nil)
			if at.Seq[t] < 0 {
				clear(o)
				continue
			}
			seq, last, first := int(at.Seq[t]), int(at.Pos[t]), 0
			if a.Window > 0 {
				first = max(0, last-a.Window+1)
			}
			kv := h / (heads / kvHeads)
			scores = scores[:0]
			m := math.Inf(-1)
			for p := first; p <= last; p++ {
				s := float64(a.Scale) * dot(q.Row(i, nil), k.Row(at.Row(seq, p)*kvHeads+kv, scratch))
				if a.Softcap > 0 {
					s = float64(a.Softcap) * math.Tanh(s/float64(a.Softcap))
				}
				scores = append(scores, s)
				m = math.Max(m, s)
			}
			var total float64
			if sinks != nil {
				m = math.Max(m, float64(sinks[h]))
				total = math.Exp(float64(sinks[h]) - m)
			}
			for j, s := range scores {
				scores[j] = math.Exp(s - m)
				total += scores[j]
			}
			clear(sum)
			for j, s := range scores {
				for d, x := range v.Row(at.Row(seq, first+j)*kvHeads+kv, scratch) {
					sum[d] += float64(s * float64(x))
				}
			}
			for d, x := range sum {
				o[d] = T(x / total)
			}
		}
	})
}
