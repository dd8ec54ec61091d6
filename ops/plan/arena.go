package plan

import (
	"slices"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
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
	group    *interval // that off counts from; nil: the arena
}

// Build plans the storage of g's values. size returns the bytes of a value; align (a power of two) rounds every
// offset. Inputs and outs keep their place for the whole run, so that they can be written before it and read
// after it. I32 inputs, a step's index data, lie one right behind the other in the order of recording, whatever align
// is, so that a single transfer can fill them. Weights, states and what updates states in place have storage of their
// own and get no offset. Views share the offset of what they view.
func Build(g *ops.Graph, outs []ops.Value, size func(ops.Value) int64, align int64) Arena {
	owner := map[ops.Value]ops.Value{} // storage that each value lives in
	life := map[ops.Value]*interval{}
	var order []*interval
	index := &interval{from: -1, to: -1} // of all I32 inputs
	for _, n := range g.Nodes {
		for r, typ := range n.Out {
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
			life[v] = iv
			if n.Leaf == ops.Input {
				iv.from = -1
				if typ.DType == tensor.I32 {
					iv.off, iv.group = index.size, index
					index.size += size(v)
					continue
				}
			}
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
	for _, iv := range life {
		if iv.group != nil {
			index.to = max(index.to, iv.to)
		}
	}
	if index.size > 0 {
		index.size = (index.size + align - 1) &^ (align - 1)
		order = append(order, index)
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
		i, _ := slices.BinarySearchFunc(placed, iv.off,
			func(p *interval, off int64) int { return int(min(1, max(-1, p.off-off))) })
		placed = slices.Insert(placed, i, iv)
		a.Bytes = max(a.Bytes, iv.off+iv.size)
	}
	for v, o := range owner {
		if iv := life[o]; iv != nil {
			a.Offset[v] = iv.off
			if iv.group != nil {
				a.Offset[v] += iv.group.off
			}
		}
	}
	return a
}
