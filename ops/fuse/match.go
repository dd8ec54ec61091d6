package fuse

import (
	"slices"

	"github.com/hipengine/hipengine/ops"
)

// match is a place of a graph where a fused op fits.
type match struct {
	pattern *pattern
	nodes   []*ops.Node // as the pattern has them
	last    *ops.Node   // of nodes in the graph, where the fused op goes
	in      []ops.Value
	outs    []ops.Value
	attrs   any
}

// search finds matches in a graph.
type search struct {
	live    map[*ops.Node]bool
	readers map[ops.Value][]*ops.Node
	kept    map[ops.Value]bool // outputs of the graph
	updates []*ops.Node        // that update states, in order
	group   map[*ops.Node]*match
}

func newSearch(g *ops.Graph, outs []ops.Value) *search {
	s := &search{live: ops.Needed(g, outs), readers: map[ops.Value][]*ops.Node{}, kept: map[ops.Value]bool{},
		group: map[*ops.Node]*match{}}
	for _, o := range outs {
		s.kept[o] = true
	}
	for _, n := range g.Nodes {
		if !s.live[n] {
			continue
		}
		for _, v := range n.In {
			s.readers[v] = append(s.readers[v], n)
		}
		if n.Op != nil && len(n.Op.InPlace) > 0 {
			s.updates = append(s.updates, n)
		}
	}
	return s
}

// find puts n and the nodes before it in a group of their own if n is the end of a match of p, and reports that.
func (s *search) find(p *pattern, n *ops.Node) bool {
	if n.Op != p.nodes[len(p.nodes)-1].Op {
		return false
	}
	bound := map[ops.Value]ops.Value{} // what stands for the inputs of p
	m := &match{pattern: p, nodes: make([]*ops.Node, len(p.nodes)), last: n}
	if !s.unify(m, bound, p.nodes[len(p.nodes)-1], n) {
		return false
	}
	for _, v := range p.leaves {
		m.in = append(m.in, bound[v])
	}
	for _, v := range p.outs {
		if x, ok := bound[v]; ok {
			m.outs = append(m.outs, x)
			continue
		}
		m.outs = append(m.outs, m.nodes[p.index[v.Node()]].Result(v.Index()))
	}
	if !m.bindAttrs() || !s.independent(m) {
		return false
	}
	for _, n := range m.nodes {
		s.group[n] = m
	}
	return true
}

// at returns where in the graph n is computed: a node of another group, where that ends.
func (s *search) at(n *ops.Node) int {
	if m := s.group[n]; m != nil {
		n = m.last
	}
	return n.ID
}

// unify lets node n stand for node t of the pattern, and what it reads for what t reads, as far as that is possible.
func (s *search) unify(m *match, bound map[ops.Value]ops.Value, t, n *ops.Node) bool {
	i := m.pattern.index[t]
	if m.nodes[i] != nil {
		return m.nodes[i] == n
	}
	if n.Op != t.Op || len(n.In) != len(t.In) || s.group[n] != nil || slices.Contains(m.nodes, n) {
		return false
	}
	m.nodes[i] = n
	for j, v := range t.In {
		x := n.In[j]
		if _, inside := m.pattern.index[v.Node()]; inside {
			if v.Index() != x.Index() || !s.unify(m, bound, v.Node(), x.Node()) {
				return false
			}
			continue
		}
		if old, ok := bound[v]; ok && !same(old, x) {
			return false
		}
		bound[v] = x
	}
	return true
}

// same reports whether two values are one: also two that each declare the same weight.
func same(a, b ops.Value) bool {
	m, n := a.Node(), b.Node()
	if a == b || m.Leaf != ops.Weight || n.Leaf != ops.Weight {
		return a == b
	}
	t, u := m.Tensor, n.Tensor
	return t.Name == u.Name && t.DType == u.DType && t.Shape.Equal(u.Shape) && t.Buf == u.Buf && t.Off == u.Off
}

// bindAttrs finds the attributes with which the fused op, given the inputs of m, expands to exactly the nodes of m.
func (m *match) bindAttrs() bool {
	var attrs []any
	for _, n := range m.nodes {
		attrs = append(attrs, n.Attrs)
	}
	var ok bool
	if m.attrs, ok = bindAttrs(m.pattern.attrs, attrs); !ok {
		return false
	}
	probe := &ops.Node{Op: m.pattern.def, In: m.in, Attrs: m.attrs}
	if m.pattern.def.Infer(probe) != nil {
		return false // the op takes less than its parts do
	}
	var kinds []ops.Leaf
	var types []ops.Type
	for _, v := range m.in {
		kind := ops.Input
		if ops.Root(v).Op == nil {
			kind = ops.Root(v).Leaf
		}
		kinds, types = append(kinds, kind), append(types, v.Type())
	}
	p, err := expand(m.pattern.def, m.attrs, kinds, types)
	if err != nil || !sameShape(p, m.pattern) {
		return false
	}
	for i, n := range p.nodes {
		if n.Attrs != m.nodes[i].Attrs {
			return false
		}
	}
	return true
}

// independent reports whether one op in the place of the last node can stand for all: nobody else reads what is not
// among its results, nobody reads those before, and no state that it reads is updated before.
func (s *search) independent(m *match) bool {
	for _, n := range m.nodes {
		for _, v := range allResults(n) {
			result := slices.Contains(m.outs, v)
			if s.kept[v] && !result {
				return false
			}
			for _, r := range s.readers[v] {
				if !slices.Contains(m.nodes, r) && (!result || s.at(r) < m.last.ID) {
					return false
				}
			}
		}
		if !slices.ContainsFunc(n.In, func(v ops.Value) bool { return ops.Root(v).Leaf == ops.State }) {
			continue
		}
		for _, u := range s.updates {
			if s.at(u) > n.ID && s.at(u) < m.last.ID && !slices.Contains(m.nodes, u) {
				return false
			}
		}
	}
	return true
}
