package place

import (
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// slot is a piece of a part's region that values use one after another.
type slot struct {
	off, size int64
	last      *transfer // that used it
}

// layOut gives inputs and values that cross segments their places in the regions.
func (c *cut) layOut() error {
	c.inOff = make([]map[*ops.Node]int64, len(c.dev.parts))
	for p := range c.dev.parts {
		c.inOff[p] = map[*ops.Node]int64{}
	}
	// Index data, of which there are many small pieces, lies one right behind the other, so that a single transfer can
	// fill it.
	for _, ints := range []bool{true, false} {
		for _, n := range c.g.Nodes {
			if n.Leaf != ops.Input || (n.Out[0].DType == tensor.I32) != ints {
				continue
			}
			size, err := tensor.Bytes(n.Out[0].DType, n.Out[0].Shape)
			if err != nil {
				return err
			}
			for _, l := range c.inLeafs[n] {
				if _, ok := c.inOff[l.part][n]; !ok {
					c.inOff[l.part][n] = c.bytes[l.part]
					if c.bytes[l.part] += size; !ints {
						c.bytes[l.part] = up(c.bytes[l.part])
					}
				}
			}
		}
		for p := range c.bytes {
			c.bytes[p] = up(c.bytes[p])
		}
	}
	slots := make([][]*slot, len(c.dev.parts))
	// Values in the order in which they are made: a slot is free again for what is made after all have read it.
	for _, s := range c.segments {
		for _, t := range s.sends {
			n, err := tensor.Bytes(t.v.DType(), t.v.Shape())
			if err != nil {
				return err
			}
			t.size = n
			if t.how == uploaded {
				c.stage[t.to] = true
			}
			var best *slot
			for _, x := range slots[t.to] {
				if x.size >= n && c.free(x.last, s) && (best == nil || x.size < best.size) {
					best = x
				}
			}
			if best == nil {
				best = &slot{off: c.bytes[t.to], size: up(n)}
				c.bytes[t.to] += best.size
				slots[t.to] = append(slots[t.to], best)
			}
			t.off, best.last = best.off, t
		}
	}
	return nil
}

// free reports whether all that read t are done when s runs.
func (c *cut) free(t *transfer, s *segment) bool {
	if t.kept {
		return false
	}
	for _, u := range t.users {
		if !c.before[s.id][u.id] {
			return false
		}
	}
	return true
}

func up(n int64) int64 { return (n + align - 1) &^ (align - 1) }
