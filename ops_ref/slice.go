package opsref

import "github.com/hipengine/hipengine/ops"

func init() { Register(ops.SliceOp, slice[float32], slice[float64]) }

func slice[T Float](c *Call[T]) error {
	x, out, a := c.In[0], c.Out[0], c.Attrs.(ops.SliceAttrs)
	return c.Pool.For(x.Shape.Rows(), 64, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			out.SetRow(i, x.Row(i, nil)[a.Lo:a.Hi])
		}
	})
}
