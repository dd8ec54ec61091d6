package opsref

import "github.com/hipengine/hipengine/ops"

func init() { Register(ops.MulOp, mul[float32], mul[float64]) }

func mul[T Float](c *Call[T]) error {
	x, y, out := c.In[0].F, c.In[1].All(), c.Out[0].F
	return elementwise(c, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			out[i] = x[i] * y[i%len(y)]
		}
	})
}
