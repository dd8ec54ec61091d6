package opsref

import (
	"math"

	"github.com/hipengine/hipengine/ops"
)

func init() {
	Register(ops.RMSNormOp, rmsNorm[float32], rmsNorm[float64])
	Register(ops.LayerNormOp, layerNorm[float32], layerNorm[float64])
	Register(ops.L2NormOp, l2Norm[float32], l2Norm[float64])
}

func rmsNorm[T Float](c *Call[T]) error {
	x, w, out := c.In[0], c.In[1].All(), c.Out[0]
	eps := float64(c.Attrs.(ops.NormAttrs).Eps)
	return c.Pool.For(x.Shape.Rows(), 8, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			row, y := x.Row(i, nil), out.Row(i, nil)
			s := 1 / math.Sqrt(dot(row, row)/float64(len(row))+eps)
			for j, v := range row {
				y[j] = T(float64(v)*s) * w[j]
			}
		}
	})
}

func layerNorm[T Float](c *Call[T]) error {
	x, w, out := c.In[0], c.In[1].All(), c.Out[0]
	var bias []T
	if len(c.In) == 3 {
		bias = c.In[2].All()
	}
	eps := float64(c.Attrs.(ops.NormAttrs).Eps)
	return c.Pool.For(x.Shape.Rows(), 8, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			row, y := x.Row(i, nil), out.Row(i, nil)
			var mean, squares float64
			for _, v := range row {
				mean += float64(v) / float64(len(row))
			}
			for _, v := range row {
				squares += (float64(v) - mean) * (float64(v) - mean)
			}
			s := 1 / math.Sqrt(squares/float64(len(row))+eps)
			for j, v := range row {
				y[j] = T((float64(v)-mean)*s) * w[j]
			}
			for j, b := range bias {
				y[j] += b
			}
		}
	})
}

func l2Norm[T Float](c *Call[T]) error {
	x, out := c.In[0], c.Out[0]
	eps := float64(c.Attrs.(ops.NormAttrs).Eps)
	return c.Pool.For(x.Shape.Rows(), 8, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			row, y := x.Row(i, nil), out.Row(i, nil)
			s := 1 / math.Sqrt(dot(row, row)+eps)
			for j, v := range row {
				y[j] = T(float64(v) * s)
			}
		}
	})
}
