package plan

import (
	"slices"

	"github.com/hipengine/hipengine/ops"
)

// Arena is a memory plan.
type Arena struct {
	Offset map[ops.Value]int64 // of each value that lives in the arena, views included
	Bytes  int64               // size of the arena
}

// interval is the life of one piece of storage, in node numbers, both ends included.
type interval struct {
	v        ops.Value
	size     int64
	from, to int
	off      int64
}

// Build plans the storage of g's values. size returns the bytes of a value; align (a power of two) rounds every
// offset. Inputs and outs keep their place for the whole run, so that they can be written before it and read
// after it. Weights, states and what updates states in place have storage of their own and get no offset. Views
// share the offset of what they view.
func Build(g *ops.Graph, outs []ops.Value, size func(ops.Value) int64, align int64) Arena {
	owner := map[ops.Value]ops.Value{} // storage that each value lives in
	life := map[ops.Value]*interval{}
	var order []*interval
	for _, n := range g.Nodes {
		for r := range n.Out {
			v := n.Result(r)
			owner[v] = v
			if n.Op != nil {
				if i := n.Op.Storage(r); i >= 0 {
					owner[v] = owner[n.In[i]]
					continue
				}
			}
			if n.Leaf == ops.Weight || n.Leaf == ops.State {
				continue
			}
			iv := &interval{v: v, size: (size(v) + align - 1) &^ (align - 1), from: n.ID, to: n.ID}
			if n.Leaf == ops.Input {
				iv.from = -1
			}
			life[v] = iv
			order = append(order, iv)
		}
		for _, v := range n.In {
			if iv := life[owner[v]]; iv != nil {
				iv.to = n.ID
			}
		}
	}
	for _, o := range outs {
		if iv := life[owner[o]]; iv != nil {
			iv.to = len(g.Nodes)
		}
	}
	a := Arena{Offset: map[ops.Value]int64{}}
	// Greedy by size: the largest first, each at the lowest offset that is free during its life.
	bySize := slices.Clone(order)
	slices.SortStableFunc(bySize, func(x, y *interval) int { return int(min(1, max(-1, y.size-x.size))) })
	var placed []*interval // sorted by offset
	for _, iv := range bySize {
		for _, p := range placed {
			if p.from > iv.to || p.to < iv.from {
				continue
			}
			if iv.off+iv.size <= p.off {
				break
			}
			iv.off = max(iv.off, p.off+p.size)
		}
		i, _ := slices.BinarySearchFunc(placed, iv.off, func(p *interval, off int64) int { return int(min(1, max(-1, p.off-off))) })
		placed = slices.Insert(placed, i, iv)
		a.Bytes = max(a.Bytes, iv.off+iv.size)
	}
	for v, o := range owner {
		if iv := life[o]; iv != nil {
			a.Offset[v] = iv.off
		}
	}
	return a
}
