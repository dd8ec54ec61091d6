package opsref

import "github.com/hipengine/hipengine/ops"

func init() { Register(ops.MulMatOp, mulMat[float32], mulMat[float64]) }

// mulMat dequantizes each weight row once and multiplies it with all tokens.
func mulMat[T Float](c *Call[T]) error {
	x, w, out := c.In[0], c.In[1], c.Out[0].F
	tokens, n := x.Shape[0], w.Shape[0]
	return c.Pool.For(n, 8, func(lo, hi int) {
		scratch := make([]T, w.Shape[1])
		for o := lo; o < hi; o++ {
			row := w.Row(o, scratch)
			for t := range tokens {
				out[t*n+o] = T(dot(x.Row(t, nil), row))
			}
		}
	})
}

// dot returns Σ a[i]·b[i] in float64. Element i goes to partial sum i mod 4, and the sums are added in order;
// that lets the processor overlap the additions.
func dot[T Float](a, b []T) float64 {
	var s [4]float64
	b = b[:len(a)]
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s[0] += float64(a[i]) * float64(b[i])
		s[1] += float64(a[i+1]) * float64(b[i+1])
		s[2] += float64(a[i+2]) * float64(b[i+2])
		s[3] += float64(a[i+3]) * float64(b[i+3])
	}
	for j := 0; i < len(a); i, j = i+1, j+1 {
		s[j] += float64(a[i]) * float64(b[i])
	}
	return s[0] + s[1] + s[2] + s[3]
}
