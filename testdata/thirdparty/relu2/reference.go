package relu2

import opsref "github.com/hipengine/hipengine/ops_ref"

// The fused op needs no reference: its expansion is one.
func init() { opsref.Register(Op, reference[float32], reference[float64]) }

func reference[T opsref.Float](c *opsref.Call[T]) error {
	x, y := c.In[0].F, c.Out[0].F
	return c.For(len(y), 4096, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			y[i] = x[i] * x[i]
			if x[i] < 0 {
				y[i] = 0
			}
		}
	})
}
