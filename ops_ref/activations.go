package opsref

import (
	"math"

	"github.com/hipengine/hipengine/ops"
)

func init() {
	Register(ops.SiLUOp, unary[float32](siluOf), unary[float64](siluOf))
	Register(ops.SigmoidOp, unary[float32](sigmoidOf), unary[float64](sigmoidOf))
	Register(ops.SoftplusOp, unary[float32](softplusOf), unary[float64](softplusOf))
	Register(ops.GELUOp, unary[float32](geluOf), unary[float64](geluOf))
	Register(ops.ScaleOp, scale[float32], scale[float64])
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

func sigmoidOf(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

func siluOf(x float64) float64 { return x / (1 + math.Exp(-x)) }

func softplusOf(x float64) float64 {
	if x > 20 {
		return x
	}
	return math.Log1p(math.Exp(x))
}

func geluOf(x float64) float64 {
	return 0.5 * x * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
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
