package opsref

import (
	"fmt"

	"github.com/hipengine/hipengine/ops"
)

func init() { Register(ops.ReplaceRowsOp, replaceRows[float32], replaceRows[float64]) }

func replaceRows[T Float](c *Call[T]) error {
	x, rows, ids := c.In[0], c.In[1], c.In[2].Ints()
	n := rows.Shape.Rows()
	for t, id := range ids {
		if int(id) >= n {
			return fmt.Errorf("id %d at %d is above %d", id, t, n-1)
		}
	}
	return c.Pool.For(len(ids), 16, func(lo, hi int) {
		scratch := make([]T, x.Shape.Last())
		for t := lo; t < hi; t++ {
			from, r := x, t
			if ids[t] >= 0 {
				from, r = rows, int(ids[t])
			}
			c.Out[0].SetRow(t, from.Row(r, scratch))
		}
	})
}
