package ops

import "fmt"

// Lower rewrites g until every node is native on d, expanding fused nodes that are not, and returns the new
// graph with the values that correspond to outs. Nodes that no output and no state update needs are dropped.
// It never moves work to another device: a node that d does not support and that has no expansion is an error
// that wraps ErrUnsupported and names op, types, shapes and the code that recorded it.
func Lower(g *Graph, d Device, outs ...Value) (*Graph, []Value, error) {
	if g.err != nil {
		return nil, nil, g.err
	}
	l := &lowering{dev: d, g: &Graph{Invariant: g.Invariant, lowered: true}}
	live := Needed(g, outs)
	m := map[Value]Value{}
	for _, n := range g.Nodes {
		if !live[n] {
			continue
		}
		if n.Op == nil {
			c := *n
			c.ID = len(l.g.Nodes)
			l.g.Nodes = append(l.g.Nodes, &c)
			m[Value{n, 0}] = Value{&c, 0}
			continue
		}
		in := make([]Value, len(n.In))
		for i, v := range n.In {
			in[i] = m[v]
		}
		res, err := l.emit(n.Op, n.Attrs, in, n.Pos)
		if err != nil {
			return nil, nil, err
		}
		for i, r := range res {
			m[Value{n, i}] = r
		}
	}
	lo := make([]Value, len(outs))
	for i, o := range outs {
		if !o.Valid() {
			return nil, nil, fmt.Errorf("ops: output %d is not a value", i)
		}
		lo[i] = m[o]
	}
	return l.g, lo, nil
}

// Needed returns the nodes that outs or a state update depend on.
func Needed(g *Graph, outs []Value) map[*Node]bool {
	live := map[*Node]bool{}
	for _, o := range outs {
		if o.Valid() {
			live[o.node] = true
		}
	}
	for i := len(g.Nodes) - 1; i >= 0; i-- {
		n := g.Nodes[i]
		if n.Op != nil && len(n.Op.InPlace) > 0 {
			live[n] = true
		}
		if live[n] {
			for _, v := range n.In {
				live[v.node] = true
			}
		}
	}
	return live
}

type lowering struct {
	dev Device
	g   *Graph
}

// emit adds op d to the lowered graph, or its expansion, recursively.
func (l *lowering) emit(d *Def, attrs any, in []Value, pos Pos) ([]Value, error) {
	probe := &Node{Op: d, Attrs: attrs, In: in, Pos: pos}
	if err := probe.infer(); err != nil {
		return nil, fmt.Errorf("ops: %s: %w", pos, err)
	}
	if d.View || l.dev.Supports(probe) {
		res := l.g.add(d, attrs, in, pos)
		return res, l.g.err
	}
	if d.Expand == nil {
		return nil, fmt.Errorf("ops: %s: %w: %v on %s", pos, ErrUnsupported, probe, l.dev.Info().Name)
	}
	sub := &Graph{at: pos}
	leaves := make([]Value, len(in))
	for i, v := range in {
		// Expansions see states as states, so that their own in-place ops are accepted.
		n := &Node{ID: i, Leaf: Input, Name: fmt.Sprintf("in%d", i), Out: []Type{v.Type()}}
		if r := Root(v); r.Op == nil {
			n.Leaf = r.Leaf
		}
		sub.Nodes = append(sub.Nodes, n)
		leaves[i] = Value{n, 0}
	}
	outs := d.Expand(sub, leaves, attrs)
	if sub.err != nil {
		return nil, fmt.Errorf("ops: %s: expanding %v: %w", pos, probe, sub.err)
	}
	if len(outs) != d.results(len(in)) {
		return nil, fmt.Errorf("ops: %s: expanding %v: %d results, want %d", pos, probe, len(outs), d.results(len(in)))
	}
	m := map[Value]Value{}
	for i, v := range leaves {
		m[v] = in[i]
	}
	for _, n := range sub.Nodes[len(in):] {
		a := make([]Value, len(n.In))
		for i, v := range n.In {
			a[i] = m[v]
		}
		res, err := l.emit(n.Op, n.Attrs, a, pos)
		if err != nil {
			return nil, err
		}
		for i, r := range res {
			m[Value{n, i}] = r
		}
	}
	res := make([]Value, len(outs))
	for i, o := range outs {
		if res[i] = m[o]; !res[i].Valid() {
			return nil, fmt.Errorf("ops: %s: expanding %v: result %d is not a value", pos, probe, i)
		}
		if got, want := res[i].Type(), probe.Out[i]; got.DType != want.DType || !got.Shape.Equal(want.Shape) {
			return nil, fmt.Errorf("ops: %s: expanding %v: result %d is %v, want %v", pos, probe, i, got, want)
		}
	}
	return res, nil
}
