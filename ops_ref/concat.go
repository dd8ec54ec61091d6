package opsref

import "github.com/hipengine/hipengine/ops"

func init() { Register(ops.ConcatOp, concat[float32], concat[float64]) }

func concat[T Float](c *Call[T]) error {
	a, b, out := c.In[0], c.In[1], c.Out[0]
	return c.Pool.For(a.Shape.Rows(), 64, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			y := out.Row(i, nil)
			copy(y[copy(y, a.Row(i, nil)):], b.Row(i, nil))
		}
	})
}
