package opsref

import (
	"fmt"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_ref/internal/index"
)

func init() {
	Register(ops.ExpertSlotsOp, expertSlots[float32], expertSlots[float64])
	Register(ops.CountExpertsOp, countExperts[float32], countExperts[float64])
}

func expertSlots[T Float](c *Call[T]) error {
	ids, slots, rest, from := c.In[0].Ints(), c.Out[0].Ints(), c.Out[1].Ints(), c.Out[2].Ints()
	var table []int32
	if len(c.In) == 2 {
		table = c.In[1].Ints()
		if err := index.CheckSomeExperts(ids, len(table)); err != nil {
			return err
		}
	}
	for i, e := range ids {
		slot := e // without a table
		if e >= 0 && table != nil {
			slot = table[e]
		}
		switch {
		case slot < 0:
			slots[i], rest[i], from[i] = 0, e, -1
		default:
			slots[i], rest[i], from[i] = slot, -1-e, int32(i)
		}
	}
	return nil
}

func countExperts[T Float](c *Call[T]) error {
	counts, ids := c.Out[0].Ints(), c.In[1].Ints()
	for i, e := range ids {
		if e < 0 {
			e = -1 - e
		}
		if int(e) >= len(counts) {
			return fmt.Errorf("expert %d at %d is outside 0..%d", e, i, len(counts)-1)
		}
		counts[e]++
	}
	return nil
}
