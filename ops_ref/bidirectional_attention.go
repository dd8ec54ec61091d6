package opsref

import (
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_ref/internal/index"
	"github.com/hipengine/hipengine/ops_ref/internal/scalar"
)

func init() {
	Register(ops.BidirectionalAttentionOp, bidirectionalAttention[float32], bidirectionalAttention[float64])
}

// bidirectionalAttention computes one token and head at a time: scores, softmax, weighted sum of values.
func bidirectionalAttention[T Float](c *Call[T]) error {
	q, k, v, out, a := c.In[0], c.In[1], c.In[2], c.Out[0], c.Attrs.(ops.BidirectionalAttentionAttrs)
	at := index.Segments{Seq: c.In[3].Ints(), Starts: c.In[4].Ints()}
	if err := at.Check(); err != nil {
		return err
	}
	heads, kvHeads := q.Shape[1], k.Shape[1]
	return c.Pool.For(q.Shape[0]*heads, 4, func(lo, hi int) {
		var scores []float64
		sum := make([]float64, v.Shape[2])
		for i := lo; i < hi; i++ {
			t, h := i/heads, i%heads
			o := out.Row(i, nil)
			first, end := at.Seen(t, a.Reach)
			if first == end {
				clear(o)
				continue
			}
			kv := h / (heads / kvHeads)
			scores = scores[:0]
			for j := first; j < end; j++ {
				scores = append(scores, float64(a.Scale)*dot(q.Row(i, nil), k.Row(j*kvHeads+kv, nil)))
			}
			scalar.Softmax(scores)
			clear(sum)
			for j, p := range scores {
				for d, x := range v.Row((first+j)*kvHeads+kv, nil) {
					sum[d] += float64(p * float64(x))
				}
			}
			for d, x := range sum {
				o[d] = T(x)
			}
		}
	})
}
