package fuse

import (
	"fmt"
	"slices"

	"github.com/hipengine/hipengine/ops"
)

// pattern is a graph that a fused op stands for.
type pattern struct {
	def    *ops.Def
	attrs  any         // of the case whose expansion it is; attributes of matches have its type
	leaves []ops.Value // one for each input
	nodes  []*ops.Node // in the order of recording
	outs   []ops.Value // one for each result
	index  map[*ops.Node]int
}

// expand records what d stands for with inputs of the given kinds and types.
func expand(d *ops.Def, attrs any, leaves []ops.Leaf, types []ops.Type) (*pattern, error) {
	g := &ops.Graph{}
	p := &pattern{def: d, attrs: attrs, index: map[*ops.Node]int{}}
	for i, t := range types {
		n := &ops.Node{ID: i, Leaf: leaves[i], Name: fmt.Sprintf("in%d", i), Out: []ops.Type{t}}
		g.Nodes = append(g.Nodes, n)
		p.leaves = append(p.leaves, n.Result(0))
	}
	p.outs = d.Expand(g, slices.Clone(p.leaves), attrs)
	if err := g.Err(); err != nil {
		return nil, fmt.Errorf("fuse: expanding %s: %w", d.Name, err)
	}
	p.nodes = g.Nodes[len(types):]
	for i, n := range p.nodes {
		p.index[n] = i
	}
	return p, nil
}

// patterns returns the different graphs that cases of d expand to. Each must have one node to which all others lead,
// since matches are looked for from there.
func patterns(d *ops.Def) ([]*pattern, error) {
	if d.Expand == nil {
		return nil, fmt.Errorf("fuse: %s has no expansion", d.Name)
	}
	var ps []*pattern
	for _, c := range d.Cases() {
		var kinds []ops.Leaf
		var types []ops.Type
		for _, a := range c.Args {
			kind := a.Leaf
			if kind == ops.NoLeaf {
				kind = ops.Input
			}
			kinds, types = append(kinds, kind), append(types, ops.Type{DType: a.DType, Shape: a.Shape})
		}
		p, err := expand(d, c.Attrs, kinds, types)
		if err != nil {
			return nil, err
		}
		if !p.connected() {
			return nil, fmt.Errorf("fuse: %s: not all nodes of its expansion lead to the last", d.Name)
		}
		if !slices.ContainsFunc(ps, func(q *pattern) bool { return sameShape(p, q) }) {
			ps = append(ps, p)
		}
	}
	return ps, nil
}

// connected reports whether all nodes and all inputs lead to the last node.
func (p *pattern) connected() bool {
	if len(p.nodes) == 0 {
		return false
	}
	seen := map[ops.Value]bool{}
	lead := map[*ops.Node]bool{p.nodes[len(p.nodes)-1]: true}
	for _, n := range slices.Backward(p.nodes) {
		if !lead[n] {
			return false
		}
		for _, v := range n.In {
			lead[v.Node()], seen[v] = true, true
		}
	}
	return !slices.ContainsFunc(p.leaves, func(v ops.Value) bool { return !seen[v] })
}

// within reports whether a graph of these ops may match.
func (p *pattern) within(has map[*ops.Def]bool) bool {
	return !slices.ContainsFunc(p.nodes, func(n *ops.Node) bool { return !has[n.Op] })
}

// contains reports whether one of these ops is part of p.
func (p *pattern) contains(some map[*ops.Def]bool) bool {
	return slices.ContainsFunc(p.nodes, func(n *ops.Node) bool { return some[n.Op] })
}

// sameShape reports whether p and q are made of the same ops in the same way, whatever their attributes.
func sameShape(p, q *pattern) bool {
	if len(p.nodes) != len(q.nodes) || len(p.leaves) != len(q.leaves) {
		return false
	}
	for i, n := range p.nodes {
		m := q.nodes[i]
		if n.Op != m.Op || len(n.In) != len(m.In) {
			return false
		}
		for j := range n.In {
			if p.number(n.In[j]) != q.number(m.In[j]) {
				return false
			}
		}
	}
	for i := range p.outs {
		if p.number(p.outs[i]) != q.number(q.outs[i]) {
			return false
		}
	}
	return true
}

// number tells the values of a pattern apart: leaves by their place, results by node and place.
func (p *pattern) number(v ops.Value) [2]int {
	if i := slices.Index(p.leaves, v); i >= 0 {
		return [2]int{-1, i}
	}
	return [2]int{p.index[v.Node()], v.Index()}
}
