package opsref

import (
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_ref/internal/index"
)

func init() {
	Register(ops.MulMatExpertsOp, mulMatExperts[float32], mulMatExperts[float64])
	Register(ops.MulMatSomeExpertsOp, mulMatSomeExperts[float32], mulMatSomeExperts[float64])
	Register(ops.AddExpertsOp, addExperts[float32], addExperts[float64])
	Register(ops.WeightedSumOp, weightedSum[float32], weightedSum[float64])
}

// mulMatExperts dequantizes each row of each chosen matrix once and multiplies it with the tokens that chose it.
func mulMatExperts[T Float](c *Call[T]) error {
	if err := index.CheckExperts(c.In[2].Ints(), c.In[1].Shape[0]); err != nil {
		return err
	}
	return mulMatSomeExperts(c)
}

// mulMatSomeExperts is mulMatExperts where negative ids are none.
func mulMatSomeExperts[T Float](c *Call[T]) error {
	x, w, ids, out := c.In[0], c.In[1], c.In[2].Ints(), c.Out[0].F
	k, n := c.In[2].Shape[1], w.Shape[1]
	if err := index.CheckSomeExperts(ids, w.Shape[0]); err != nil {
		return err
	}
	users := make([][]int, w.Shape[0]) // places in ids that name each expert
	for i, e := range ids {
		if e < 0 {
			clear(out[i*n:][:n])
			continue
		}
		users[e] = append(users[e], i)
	}
	return c.Pool.For(w.Shape[0]*n, 32, func(lo, hi int) {
		scratch := make([]T, w.Shape[2])
		for i := lo; i < hi; i++ {
			e, o := i/n, i%n
			if len(users[e]) == 0 {
				continue
			}
			row := w.Row(i, scratch)
			for _, u := range users[e] {
				from := u
				if x.Shape[1] == 1 {
					from = u / k
				}
				out[u*n+o] = T(dot(x.Row(from, nil), row))
			}
		}
	})
}

func addExperts[T Float](c *Call[T]) error {
	x, bias, ids, out := c.In[0], c.In[1], c.In[2].Ints(), c.Out[0]
	if err := index.CheckExperts(ids, bias.Shape[0]); err != nil {
		return err
	}
	return c.Pool.For(len(ids), 16, func(lo, hi int) {
		scratch := make([]T, bias.Shape[1])
		for i := lo; i < hi; i++ {
			b, y := bias.Row(int(ids[i]), scratch), out.Row(i, nil)
			for j, v := range x.Row(i, nil) {
				y[j] = v + b[j]
			}
		}
	})
}

func weightedSum[T Float](c *Call[T]) error {
	x, w, out := c.In[0], c.In[1].F, c.Out[0]
	k := x.Shape[1]
	return c.Pool.For(x.Shape[0], 8, func(lo, hi int) {
		for t := lo; t < hi; t++ {
			y := out.Row(t, nil)
			for j := range y {
				var s float64
				for i := range k {
					s += float64(w[t*k+i]) * float64(x.Row(t*k+i, nil)[j])
				}
				y[j] = T(s)
			}
		}
	})
}
