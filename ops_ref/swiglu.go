package opsref

import "github.com/hipengine/hipengine/ops"

func init() { Register(ops.SwiGLUOp, swiGLU[float32], swiGLU[float64]) }

func swiGLU[T Float](c *Call[T]) error {
	gate, up, out := c.In[0].F, c.In[1].F, c.Out[0].F
	return elementwise(c, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			out[i] = T(siluOf(float64(gate[i]))) * up[i]
		}
	})
}
