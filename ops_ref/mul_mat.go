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
	var s0, s1, s2, s3 float64 // in registers, where an array would not be
	b = b[:len(a)]
	i := 0
	for ; i+4 <= len(a); i += 4 {
		a, b := a[i:i+4:i+4], b[i:i+4:i+4] // one check of bounds for four
		s0 += float64(a[0]) * float64(b[0])
		s1 += float64(a[1]) * float64(b[1])
		s2 += float64(a[2]) * float64(b[2])
		s3 += float64(a[3]) * float64(b[3])
	}
	a, b = a[i:], b[i:]
	for i := range a {
		p := float64(a[i]) * float64(b[i])
		switch i {
		case 0:
			s0 += p
		case 1:
			s1 += p
		case 2:
			s2 += p
		}
	}
	return s0 + s1 + s2 + s3
}
