package mutant

import (
	opsref "github.com/hipengine/hipengine/ops_ref"
	"github.com/hipengine/hipengine/tensor/quant"
)

// call is the operands of a kernel of the reference in float32.
type call = opsref.Call[float32]

// half rounds x to binary16.
func half(x float32) float32 { return quant.HalfToFloat(quant.FloatToHalf(x)) }

// mulMatWith is the product with a weight matrix, with the sum of one row done by dot.
func mulMatWith(c *call, dot func(x, w []float32) float32) error {
	x, w := c.In[0], c.In[1]
	scratch := make([]float32, w.Shape.Last())
	for o := range w.Shape[0] {
		row := w.Row(o, scratch)
		for t := range x.Shape[0] {
			c.Out[0].F[t*w.Shape[0]+o] = dot(x.Row(t, nil), row)
		}
	}
	return nil
}

// mulMatHalf keeps its running sums in binary16.
func mulMatHalf(c *call) error {
	return mulMatWith(c, func(x, w []float32) float32 {
		var s float32
		for i, v := range x {
			s = half(s + v*w[i])
		}
		return s
	})
}
