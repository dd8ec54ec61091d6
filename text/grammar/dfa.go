package grammar

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// dfa is an automaton whose bytes lead to one node each. Node 0 is the first.
type dfa struct{ nodes []dfaNode }

type dfaNode struct {
	edges  []dfaEdge // ascending, disjoint
	calls  []callEdge
	loops  []callEdge
	accept bool
}

type dfaEdge struct {
	lo, hi byte
	to     int32
}

// callEdge reads what a rule or a loop matches.
type callEdge struct {
	index int
	to    int32
}

// determinize makes the automaton of b deterministic, with its text from begin to end.
func (b *nfaBuilder) determinize(begin, end int32) (*dfa, error) {
	d := &dfa{}
	index := map[string]int32{}
	var sets [][]int32
	mark := make([]int32, len(b.n.states)) // the number of the set that a state was last put into
	serial := int32(0)
	var key []byte
	node := func(set []int32) (int32, error) {
		serial++
		for _, s := range set {
			mark[s] = serial
		}
		for i := 0; i < len(set); i++ { // grows
			for _, to := range b.n.states[set[i]].free {
				if mark[to] != serial {
					mark[to] = serial
					set = append(set, to)
				}
			}
		}
		slices.Sort(set)
		key = key[:0]
		for _, s := range set {
			if st := &b.n.states[s]; len(st.edges) > 0 || s == end {
				key = binary.LittleEndian.AppendUint32(key, uint32(s))
			}
		}
		if id, ok := index[string(key)]; ok {
			return id, nil
		}
		if len(d.nodes) >= b.c.limits.nodes {
			return 0, fmt.Errorf("%w: a rule needs more than %d states", ErrTooLarge, b.c.limits.nodes)
		}
		if err := b.c.spend(len(set)); err != nil {
			return 0, err
		}
		id := int32(len(d.nodes))
		index[string(key)] = id
		d.nodes = append(d.nodes, dfaNode{accept: slices.Contains(set, end)})
		sets = append(sets, slices.Clone(set))
		return id, nil
	}
	if _, err := node([]int32{begin}); err != nil {
		return nil, err
	}
	for i := 0; i < len(sets); i++ { // grows
		var bytes, other []nfaEdge
		for _, s := range sets[i] {
			for _, e := range b.n.states[s].edges {
				if e.kind == readByte {
					bytes = append(bytes, e)
				} else {
					other = append(other, e)
				}
			}
		}
		if err := b.c.spend(len(bytes) + len(other)); err != nil {
			return nil, err
		}
		for _, group := range splitBytes(bytes) {
			to, err := node(group.to)
			if err != nil {
				return nil, err
			}
			edges := &d.nodes[i].edges
			if n := len(*edges); n > 0 && (*edges)[n-1].to == to && (*edges)[n-1].hi+1 == group.lo {
				(*edges)[n-1].hi = group.hi
			} else {
				*edges = append(*edges, dfaEdge{group.lo, group.hi, to})
			}
		}
		for len(other) > 0 {
			first, targets, rest := other[0], []int32{}, []nfaEdge{}
			for _, e := range other {
				if e.kind == first.kind && e.index == first.index {
					if !slices.Contains(targets, e.to) {
						targets = append(targets, e.to)
					}
				} else {
					rest = append(rest, e)
				}
			}
			other = rest
			to, err := node(targets)
			if err != nil {
				return nil, err
			}
			if call := (callEdge{first.index, to}); first.kind == readRule {
				d.nodes[i].calls = append(d.nodes[i].calls, call)
			} else {
				d.nodes[i].loops = append(d.nodes[i].loops, call)
			}
		}
	}
	return d, nil
}

// byteGroup is a range of bytes that all lead to the same states.
type byteGroup struct {
	lo, hi byte
	to     []int32
}

// splitBytes cuts edges at each other's ends.
func splitBytes(edges []nfaEdge) []byteGroup {
	var cut [257]bool
	for _, e := range edges {
		cut[e.lo], cut[int(e.hi)+1] = true, true
	}
	var groups []byteGroup
	for lo := 0; lo < 256; {
		hi := lo
		for hi < 255 && !cut[hi+1] {
			hi++
		}
		g := byteGroup{lo: byte(lo), hi: byte(hi)}
		for _, e := range edges {
			if int(e.lo) <= lo && hi <= int(e.hi) && !slices.Contains(g.to, e.to) {
				g.to = append(g.to, e.to)
			}
		}
		if len(g.to) > 0 {
			groups = append(groups, g)
		}
		lo = hi + 1
	}
	return groups
}

// step returns the node behind byte c, or -1.
func (n *dfaNode) step(c byte) int32 {
	for _, e := range n.edges {
		if c < e.lo {
			break
		}
		if c <= e.hi {
			return e.to
		}
	}
	return -1
}

// product combines two automata without calls: a text is accepted if both says so of whether a and b accept it.
func (steps *budget) product(a, b *dfa, limit int, both func(a, b bool) bool) (*dfa, error) {
	d := &dfa{}
	type pair struct{ a, b int32 } // -1 is the node from which nothing is accepted
	index := map[pair]int32{}
	var pairs []pair
	accept := func(d *dfa, n int32) bool { return n >= 0 && d.nodes[n].accept }
	node := func(p pair) (int32, error) {
		id, ok := index[p]
		if !ok {
			if len(pairs) >= limit {
				return 0, fmt.Errorf("%w: combined patterns need more than %d states", ErrTooLarge, limit)
			}
			id = int32(len(pairs))
			index[p] = id
			pairs = append(pairs, p)
			d.nodes = append(d.nodes, dfaNode{accept: both(accept(a, p.a), accept(b, p.b))})
		}
		return id, nil
	}
	if _, err := node(pair{0, 0}); err != nil {
		return nil, err
	}
	for i := 0; i < len(pairs); i++ { // grows
		if err := steps.spend(256); err != nil {
			return nil, err
		}
		for c := 0; c < 256; c++ {
			next := pair{-1, -1}
			if n := pairs[i].a; n >= 0 {
				next.a = a.nodes[n].step(byte(c))
			}
			if n := pairs[i].b; n >= 0 {
				next.b = b.nodes[n].step(byte(c))
			}
			if next.a < 0 && !both(false, true) || next.b < 0 && !both(true, false) {
				continue // nothing behind it is accepted
			}
			if next.a < 0 && next.b < 0 {
				continue
			}
			to, err := node(next)
			if err != nil {
				return nil, err
			}
			edges := &d.nodes[i].edges
			if n := len(*edges); n > 0 && (*edges)[n-1].to == to && int((*edges)[n-1].hi)+1 == c {
				(*edges)[n-1].hi = byte(c)
			} else {
				*edges = append(*edges, dfaEdge{byte(c), byte(c), to})
			}
		}
	}
	return d.trim(), nil
}

// trim returns d without the nodes from which nothing is accepted.
func (d *dfa) trim() *dfa {
	live := make([]bool, len(d.nodes))
	for again := true; again; {
		again = false
		for i := len(d.nodes) - 1; i >= 0; i-- {
			n := &d.nodes[i]
			if !live[i] && (n.accept || slices.ContainsFunc(n.edges, func(e dfaEdge) bool { return live[e.to] })) {
				live[i], again = true, true
			}
		}
	}
	number := make([]int32, len(d.nodes))
	out := &dfa{}
	for i := range d.nodes {
		if live[i] || i == 0 {
			number[i] = int32(len(out.nodes))
			out.nodes = append(out.nodes, dfaNode{accept: d.nodes[i].accept})
		}
	}
	for i, n := range d.nodes {
		if !live[i] && i > 0 {
			continue
		}
		for _, e := range n.edges {
			if live[e.to] {
				at := &out.nodes[number[i]]
				at.edges = append(at.edges, dfaEdge{e.lo, e.hi, number[e.to]})
			}
		}
	}
	return out
}

// isEmpty reports whether a trimmed automaton accepts nothing.
func (d *dfa) isEmpty() bool { return !d.nodes[0].accept && len(d.nodes[0].edges) == 0 }
