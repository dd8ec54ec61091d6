package opsref

import (
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_ref/internal/scalar"
)

func init() {
	Register(ops.SwiGLUOp, gated[float32](scalar.SiLU), gated[float64](scalar.SiLU))
	Register(ops.GeGLUOp, gated[float32](scalar.GELU), gated[float64](scalar.GELU))
	Register(ops.SwiGLUClampedOp, swiGLUClamped[float32], swiGLUClamped[float64])
}

// gated returns the kernel of act(gate)·up.
func gated[T Float](act func(float64) float64) Kernel[T] {
	return func(c *Call[T]) error {
		gate, up, out := c.In[0].F, c.In[1].F, c.Out[0].F
		return elementwise(c, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				out[i] = T(act(float64(gate[i]))) * up[i]
			}
		})
	}
}

func swiGLUClamped[T Float](c *Call[T]) error {
	gate, up, out, a := c.In[0].F, c.In[1].F, c.Out[0].F, c.Attrs.(ops.SwiGLUClampedAttrs)
	limit, alpha := float64(a.Limit), float64(a.Alpha)
	return elementwise(c, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			g := min(float64(gate[i]), limit)
			u := min(max(float64(up[i]), -limit), limit)
			out[i] = T(g * scalar.Sigmoid(alpha*g) * (u + 1))
		}
	})
}
