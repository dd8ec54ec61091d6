package opsref

import (
	"math"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_ref/internal/scalar"
)

func init() {
	Register(ops.SiLUOp, unary[float32](scalar.SiLU), unary[float64](scalar.SiLU))
	Register(ops.SigmoidOp, unary[float32](scalar.Sigmoid), unary[float64](scalar.Sigmoid))
	Register(ops.SoftplusOp, unary[float32](scalar.Softplus), unary[float64](scalar.Softplus))
	Register(ops.GELUOp, unary[float32](scalar.GELU), unary[float64](scalar.GELU))
	Register(ops.GELUErfOp, unary[float32](scalar.GELUErf), unary[float64](scalar.GELUErf))
	Register(ops.ScaleOp, scale[float32], scale[float64])
	Register(ops.XIELUOp, xielu[float32], xielu[float64])
	Register(ops.SoftcapOp, softcap[float32], softcap[float64])
}

// unary lifts a scalar function, computed in float64 and rounded once, to a kernel.
func unary[T Float](f func(float64) float64) Kernel[T] {
	return func(c *Call[T]) error {
		x, out := c.In[0].F, c.Out[0].F
		return elementwise(c, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				out[i] = T(f(float64(x[i])))
			}
		})
	}
}

func scale[T Float](c *Call[T]) error {
	by := T(c.Attrs.(ops.ScaleAttrs).By)
	x, out := c.In[0].F, c.Out[0].F
	return elementwise(c, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			out[i] = x[i] * by
		}
	})
}

func softcap[T Float](c *Call[T]) error {
	limit := float64(c.Attrs.(ops.SoftcapAttrs).Cap)
	return unary[T](func(x float64) float64 { return limit * math.Tanh(x/limit) })(c)
}

func xielu[T Float](c *Call[T]) error {
	a := c.Attrs.(ops.XIELUAttrs)
	return unary[T](func(x float64) float64 {
		if x > 0 {
			return float64(a.Positive)*x*x + float64(a.Linear)*x
		}
		return float64(a.Negative)*(math.Expm1(x)-x) + float64(a.Linear)*x
	})(c)
}
