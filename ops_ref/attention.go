package opsref

import (
	"math"

	"github.com/hipengine/hipengine/ops"
)

func init() { Register(ops.AttentionOp, attention[float32], attention[float64]) }

// attention computes one token and head at a time: scores, softmax, weighted sum of values.
func attention[T Float](c *Call[T]) error {
	var sinks []T
	if len(c.In) == 7 {
		sinks = c.In[6].All()
	}
	return attend(c, c.In[1], c.In[2], c.In[3:6], sinks, c.Attrs.(ops.AttentionAttrs))
}

// attend is attention over keys k and the values with which rows of v begin.
func attend[T Float](c *Call[T], k, v View[T], index []View[T], sinks []T, a ops.AttentionAttrs) error {
	q, out := c.In[0], c.Out[0]
	at, err := newPaged(k.Shape[0], k.Shape[1], index[0], index[1], index[2])
	if err != nil {
		return err
	}
	heads, kvHeads := q.Shape[1], k.Shape[2]
	return c.Pool.For(q.Shape[0]*heads, 4, func(lo, hi int) {
		var scores, sum []float64
		scratch := make([]T, max(k.Shape[3], v.Shape[3]))
		sum = make([]float64, out.Shape[2])
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
				for d, x := range v.Row(at.Row(seq, first+j)*kvHeads+kv, scratch)[:len(sum)] {
					sum[d] += float64(s * float64(x))
				}
			}
			for d, x := range sum {
				o[d] = T(x / total)
			}
		}
	})
}
