package opsref

import (
	"math"

	"github.com/hipengine/hipengine/ops"
)

func init() { Register(ops.RoPEOp, rope[float32], rope[float64]) }

func rope[T Float](c *Call[T]) error {
	x, pos, freqs, out, a := c.In[0], c.In[1].Ints(), c.In[2].All(), c.Out[0], c.Attrs.(ops.RoPEAttrs)
	tokens, heads := x.Shape[0], x.Shape[1]
	half := a.NRot / 2
	return c.Pool.For(tokens, 4, func(lo, hi int) {
		cos, sin := make([]T, half), make([]T, half)
		for t := lo; t < hi; t++ {
			for i, f := range freqs {
				s, c := math.Sincos(float64(pos[t]) * float64(f))
				cos[i], sin[i] = T(c*float64(a.MScale)), T(s*float64(a.MScale))
			}
			for h := range heads {
				from, to := x.Row(t*heads+h, nil), out.Row(t*heads+h, nil)
				copy(to[a.NRot:], from[a.NRot:])
				for i := range half {
					j, k := i, i+half
					if a.Pairing == ops.Interleaved {
						j, k = 2*i, 2*i+1
					}
					to[j] = T(from[j]*cos[i]) - T(from[k]*sin[i])
					to[k] = T(from[j]*sin[i]) + T(from[k]*cos[i])
				}
			}
		}
	})
}
