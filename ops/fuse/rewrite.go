package fuse

import (
	"fmt"
	"slices"

	"github.com/hipengine/hipengine/ops"
)

// Rewrite returns g with ops of defs in place of what they expand to, and the values that correspond to outs. Earlier
// defs come first where nodes could be part of several. A node is fused away only if nothing but the fused op reads
// what it computes, or if the fused op has that as a result. Nodes that neither outs nor an update of a state needs
// are dropped. g itself stays as it is. It fails if the expansion of a def does.
func Rewrite(g *ops.Graph, defs []*ops.Def, outs []ops.Value) (*ops.Graph, []ops.Value, error) {
	if err := g.Err(); err != nil {
		return nil, nil, err
	}
	s := newSearch(g, outs)
	has, pending := opsOf(g), map[*ops.Def]bool{}
	for _, d := range defs {
		ps, err := patterns(d)
		if err != nil {
			return nil, nil, err
		}
		if ps = slices.DeleteFunc(ps, func(p *pattern) bool { return !p.within(has) }); len(ps) == 0 {
			continue
		}
		if slices.ContainsFunc(ps, func(p *pattern) bool { return p.contains(pending) }) {
			if g, outs, err = s.replace(g, outs); err != nil {
				return nil, nil, err
			}
			s = newSearch(g, outs)
			clear(pending)
		}
		for _, p := range ps {
			for _, n := range g.Nodes {
				if s.live[n] && s.group[n] == nil && s.find(p, n) {
					has[d], pending[d] = true, true
				}
			}
		}
	}
	g, outs, err := s.replace(g, outs)
	if err != nil || len(pending) == 0 {
		return g, outs, err
	}
	return newSearch(g, outs).replace(g, outs) // drops what the last matches made superfluous
}

// opsOf returns the ops of g's nodes.
func opsOf(g *ops.Graph) map[*ops.Def]bool {
	has := map[*ops.Def]bool{}
	for _, n := range g.Nodes {
		has[n.Op] = true
	}
	return has
}

// replace returns a copy of g with a fused op for each match, and without what is not needed.
func (s *search) replace(g *ops.Graph, outs []ops.Value) (*ops.Graph, []ops.Value, error) {
	to := &ops.Graph{Invariant: g.Invariant}
	m := map[ops.Value]ops.Value{}
	for _, n := range g.Nodes {
		if !s.live[n] {
			continue
		}
		if n.Op == nil {
			c := *n
			c.ID = len(to.Nodes)
			to.Nodes = append(to.Nodes, &c)
			m[n.Result(0)] = c.Result(0)
			continue
		}
		op, attrs, in, results := n.Op, n.Attrs, n.In, allResults(n)
		if f := s.group[n]; f != nil {
			if n != f.last {
				continue
			}
			op, attrs, in, results = f.pattern.def, f.attrs, f.in, f.outs
		}
		res := to.AddAt(n.Pos, op, attrs, mapped(m, in)...)
		if err := to.Err(); err != nil {
			return nil, nil, fmt.Errorf("fuse: %s: %w", n.Pos, err)
		}
		for i, r := range results {
			m[r] = res[i]
		}
	}
	return to, mapped(m, outs), nil
}

// mapped returns what m has for each of vs.
func mapped(m map[ops.Value]ops.Value, vs []ops.Value) []ops.Value {
	all := make([]ops.Value, len(vs))
	for i, v := range vs {
		all[i] = m[v]
	}
	return all
}

func allResults(n *ops.Node) []ops.Value {
	vs := make([]ops.Value, len(n.Out))
	for i := range vs {
		vs[i] = n.Result(i)
	}
	return vs
}
