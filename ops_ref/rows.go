package opsref

import (
	"fmt"

	"github.com/hipengine/hipengine/ops"
)

func init() {
	Register(ops.RowsOp, rows[float32], rows[float64])
	Register(ops.EmbedOp, embed[float32], embed[float64])
}

func rows[T Float](c *Call[T]) error { return gather(c, c.In[0], c.In[1].Ints()) }

func embed[T Float](c *Call[T]) error { return gather(c, c.In[0], c.In[1].Ints()) }

// gather copies rows ids of from to output 0.
func gather[T Float](c *Call[T], from View[T], ids []int32) error {
	n := from.Shape.Rows()
	for i, id := range ids {
		if id < 0 || int(id) >= n {
			return fmt.Errorf("id %d at %d is outside 0..%d", id, i, n-1)
		}
	}
	return c.Pool.For(len(ids), 16, func(lo, hi int) {
		scratch := make([]T, from.Shape.Last())
		for i := lo; i < hi; i++ {
			c.Out[0].SetRow(i, from.Row(int(ids[i]), scratch))
		}
	})
}
