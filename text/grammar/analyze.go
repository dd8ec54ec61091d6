package grammar

import "slices"

// prune removes what no text can use, so that wherever a text stands it can be completed.
func (c *compiler) prune() error {
	live := make([]bool, len(c.nodes)) // from which the end of the rule or of the loop's turn can be reached
	usable := func(l int32) bool {
		d := c.loopDefs[l]
		return live[d.after] && (d.min == 0 || live[d.start])
	}
	for again := true; again; {
		again = false
		for i := len(c.nodes) - 1; i >= 0; i-- {
			n := &c.nodes[i]
			if !live[i] && (n.accept || n.loopEnd >= 0 ||
				slices.ContainsFunc(n.edges, func(e dfaEdge) bool { return live[e.to] }) ||
				slices.ContainsFunc(n.calls, func(e call) bool { return live[e.start] && live[e.ret] }) ||
				slices.ContainsFunc(n.loops, usable)) {
				live[i], again = true, true
			}
		}
		if err := c.spend(len(c.nodes)); err != nil {
			return err
		}
	}
	if !live[c.starts[0]] {
		return ErrImpossible
	}
	for i := range c.nodes {
		n := &c.nodes[i]
		n.edges = slices.DeleteFunc(n.edges, func(e dfaEdge) bool { return !live[e.to] })
		n.calls = slices.DeleteFunc(n.calls, func(e call) bool { return !live[e.start] || !live[e.ret] })
		n.loops = slices.DeleteFunc(n.loops, func(l int32) bool { return !usable(l) })
	}
	for i := range c.loopDefs {
		if l := &c.loopDefs[i]; !live[l.start] {
			l.max = 0 // only reached with min 0
		}
	}
	for i := range c.nodes { // a call at the end of a rule needs no return
		for j := range c.nodes[i].calls {
			e := &c.nodes[i].calls[j]
			if r := c.nodes[e.ret]; r.accept && len(r.edges)+len(r.calls)+len(r.loops) == 0 {
				e.ret = -1
			}
		}
	}
	return nil
}

// checkRecursion reports a rule that can call itself before it has read anything, with which matching would not end.
func (c *compiler) checkRecursion() error {
	empty, err := c.nullable()
	if err != nil {
		return err
	}
	reaches := make([][]int32, len(c.nodes)) // nodes that are reached without reading
	for i, n := range c.nodes {
		to := &reaches[i]
		for _, e := range n.calls {
			*to = append(*to, e.start)
			if e.ret >= 0 && empty[e.start] {
				*to = append(*to, e.ret)
			}
		}
		for _, l := range n.loops {
			d := c.loopDefs[l]
			*to = append(*to, d.start)
			if d.min == 0 || empty[d.start] {
				*to = append(*to, d.after)
			}
		}
	}
	cycle := cycles(reaches)
	for i, n := range c.nodes {
		for _, e := range n.calls {
			if cycle[i] == cycle[e.start] {
				return ErrLeftRecursion
			}
		}
	}
	return nil
}

// cycles numbers the nodes of a graph so that two have one number if each can be reached from the other.
func cycles(to [][]int32) []int32 {
	from := make([][]int32, len(to))
	for i, list := range to {
		for _, j := range list {
			from[j] = append(from[j], int32(i))
		}
	}
	// Nodes in the order in which a search is done with them; then backwards from the last.
	order := make([]int32, 0, len(to))
	search(to, make([]bool, len(to)), func(yield func(int32)) {
		for i := range to {
			yield(int32(i))
		}
	}, func(n, _ int32) { order = append(order, n) })
	number := make([]int32, len(to))
	search(from, make([]bool, len(to)), func(yield func(int32)) {
		for _, n := range slices.Backward(order) {
			yield(n)
		}
	}, func(n, root int32) { number[n] = root })
	return number
}

// search goes through a graph in depth from each of the roots, and calls done with each node and its root when what is
// behind the node has been seen.
func search(to [][]int32, seen []bool, roots func(func(int32)), done func(n, root int32)) {
	type visit struct {
		node int32
		next int
	}
	roots(func(root int32) {
		if seen[root] {
			return
		}
		seen[root] = true
		stack := []visit{{node: root}}
		for len(stack) > 0 {
			v := &stack[len(stack)-1]
			if v.next == len(to[v.node]) {
				done(v.node, root)
				stack = stack[:len(stack)-1]
				continue
			}
			n := to[v.node][v.next]
			v.next++
			if !seen[n] {
				seen[n] = true
				stack = append(stack, visit{node: n})
			}
		}
	})
}

// nullable returns the nodes from which a rule, or a turn of a loop, can end without reading anything.
func (c *compiler) nullable() ([]bool, error) {
	empty := make([]bool, len(c.nodes))
	for again := true; again; {
		again = false
		for i := len(c.nodes) - 1; i >= 0; i-- {
			n := &c.nodes[i]
			if !empty[i] && (n.accept || n.loopEnd >= 0 ||
				slices.ContainsFunc(n.calls,
					func(e call) bool { return empty[e.start] && (e.ret < 0 || empty[e.ret]) }) ||
				slices.ContainsFunc(n.loops, func(l int32) bool {
					d := c.loopDefs[l]
					return empty[d.after] && (d.min == 0 || empty[d.start])
				})) {
				empty[i], again = true, true
			}
		}
		if err := c.spend(len(c.nodes)); err != nil {
			return nil, err
		}
	}
	return empty, nil
}
