package fuse

import (
	"fmt"
	"slices"

	"github.com/hipengine/hipengine/ops"
)

// Group returns g with one op in place of several products that have the same input, and the values that correspond
// to outs: see [ops.MulMatGroupOp]. Products join the first group of their input, attributes and position of
// recording with which supports accepts them; what remains alone stays as it is. A group takes the place of its first
// product, so that others move ahead of nodes that do not need them, and leaves move ahead of all. g itself stays as
// it is; it has no node that is not needed.
//
// No expansion is a pattern of this: neither the number of products nor what reads them is given.
func Group(g *ops.Graph, outs []ops.Value, supports func(*ops.Node) bool) (*ops.Graph, []ops.Value, error) {
	if err := g.Err(); err != nil {
		return nil, nil, err
	}
	groups := grouped(g, supports)
	to := &ops.Graph{}
	m := map[ops.Value]ops.Value{}
	for _, n := range g.Nodes {
		if n.Op == nil {
			c := *n
			c.ID = len(to.Nodes)
			to.Nodes = append(to.Nodes, &c)
			m[n.Result(0)] = c.Result(0)
		}
	}
	for _, n := range g.Nodes {
		if n.Op == nil {
			continue
		}
		op, attrs, in, results := n.Op, n.Attrs, n.In, allResults(n)
		if all := groups[n]; len(all) > 1 {
			if all[0] != n {
				continue
			}
			probe := group(all)
			op, attrs, in, results = probe.Op, probe.Attrs, probe.In, nil
			for _, p := range all {
				results = append(results, p.Result(0))
			}
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

// grouped returns the group of each product, in the order of recording.
func grouped(g *ops.Graph, supports func(*ops.Node) bool) map[*ops.Node][]*ops.Node {
	groups := map[*ops.Node][]*ops.Node{}
	open := map[ops.Value][][]*ops.Node{} // of an input
	for _, n := range g.Nodes {
		if n.Op != ops.MulMatOp || ops.Root(n.In[0]).Leaf == ops.State || ops.Root(n.In[1]).Leaf != ops.Weight {
			continue // a state may be another between two products
		}
		of := open[n.In[0]]
		i := slices.IndexFunc(of, func(all []*ops.Node) bool {
			if len(all) == ops.MaxGroup || ops.Exact(all[0]) != ops.Exact(n) {
				return false
			}
			probe := group(append(slices.Clone(all), n))
			return probe.Op.Infer(probe) == nil && supports(probe)
		})
		if i < 0 {
			i = len(of)
			of = append(of, nil)
		}
		of[i] = append(of[i], n)
		open[n.In[0]] = of
		for _, p := range of[i] {
			groups[p] = of[i]
		}
	}
	return groups
}

// group returns a node that makes the products of several.
func group(products []*ops.Node) *ops.Node {
	n := &ops.Node{Op: ops.MulMatGroupOp(len(products)), In: []ops.Value{products[0].In[0]},
		Attrs: ops.MulMatAttrs{Exact: ops.Exact(products[0])}}
	for _, p := range products {
		n.In = append(n.In, p.In[1])
	}
	return n
}
