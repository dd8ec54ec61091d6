package opsref

import (
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_ref/internal/index"
)

func init() { Register(ops.KVAppendOp, kvAppend[float32], kvAppend[float64]) }

func kvAppend[T Float](c *Call[T]) error {
	cache, x := c.Out[0], c.In[1]
	heads := x.Shape[1]
	at, err := newPaged(cache.Shape[0], cache.Shape[1], c.In[2], c.In[3], c.In[4])
	if err != nil {
		return err
	}
	return c.Pool.For(x.Shape[0], 16, func(lo, hi int) {
		for t := lo; t < hi; t++ {
			if at.Seq[t] < 0 {
				continue
			}
			place := at.Row(int(at.Seq[t]), int(at.Pos[t]))
			for h := range heads {
				cache.SetRow(place*heads+h, x.Row(t*heads+h, nil))
			}
		}
	})
}

// newPaged finds tokens in a cache of the given number and size of pages, and checks that it can.
func newPaged[T Float](pages, page int, pos, seq, table View[T]) (index.Paged, error) {
	p := index.NewPaged(page, pos.Ints(), seq.Ints(), table.Ints(), table.Shape[1])
	return p, p.Check(pages)
}
