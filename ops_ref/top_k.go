package opsref

import (
	"cmp"
	"slices"

	"github.com/hipengine/hipengine/ops"
)

func init() { Register(ops.TopKOp, topK[float32], topK[float64]) }

// topK sorts one row at a time.
func topK[T Float](c *Call[T]) error {
	x, ids, values, k := c.In[0], c.Out[0].Ints(), c.Out[1], c.Attrs.(ops.TopKAttrs).K
	return c.Pool.For(x.Shape[0], 1, func(lo, hi int) {
		order := make([]int32, x.Shape[1])
		for r := lo; r < hi; r++ {
			row, picked, out := x.Row(r, nil), ids[r*k:(r+1)*k], values.Row(r, nil)
			if bad := slices.IndexFunc(row, func(v T) bool { return v-v != 0 }); bad >= 0 { // NaN or an infinity
				for j := range picked {
					picked[j], out[j] = int32(-1-bad), row[bad]
				}
				continue
			}
			for i := range order {
				order[i] = int32(i)
			}
			slices.SortStableFunc(order, func(a, b int32) int { return cmp.Compare(row[b], row[a]) })
			copy(picked, order)
			for j, i := range picked {
				out[j] = row[i]
			}
		}
	})
}
