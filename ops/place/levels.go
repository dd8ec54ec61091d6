package place

import (
	"slices"

	"github.com/hipengine/hipengine/ops"
)

// levels gives each node the lowest level that it can have: that of what it reads of its own part, one more than that of
// what it reads of others, and at least that of nodes before it that use its states.
func (a *assignment) levels() {
	used := map[*ops.Node]int{} // level of the last node that uses a state
	least := func(n *ops.Node) int {
		level := 0
		for _, v := range n.In {
			b := a.base(v)
			if m := b.Node(); m.Op != nil {
				if a.part[m] == a.part[n] {
					level = max(level, a.level[m])
				} else {
					level = max(level, a.level[m]+1)
				}
			}
			if s := ops.Root(b); s.Leaf == ops.State {
				level = max(level, used[s])
			}
		}
		return level
	}
	for _, n := range a.nodes {
		level := least(n)
		for _, m := range a.joint[n] {
			// All at one level: no part can then come to wait for another that waits for it. What the others read was
			// placed before the first of them.
			level = max(level, least(m))
		}
		a.level[n] = level
		for _, v := range n.In {
			if s := ops.Root(a.base(v)); s.Leaf == ops.State {
				used[s] = level
			}
		}
	}
	a.postpone()
}

// place is a part at a level.
type place struct{ part, level int }

// postpone moves nodes with weights that no other part waits for to the level behind, with what depends on them, where
// their part would only wait there: they then run beside what others do with the rest.
func (a *assignment) postpone() {
	busy := map[place]bool{}
	sent := map[*ops.Node]bool{} // read by another part
	last := 0
	for _, n := range a.nodes {
		busy[place{a.part[n], a.level[n]}] = true
		sent[n] = sent[n] || a.joint[n] != nil
		last = max(last, a.level[n])
		for _, v := range n.In {
			if m := a.base(v).Node(); m.Op != nil && a.part[m] != a.part[n] {
				sent[m] = true
			}
		}
	}
	of := map[place][]*ops.Node{}
	for _, n := range a.nodes {
		at := place{a.part[n], a.level[n]}
		of[at] = append(of[at], n)
	}
	for level := range last {
		for part := range a.dev.parts {
			nodes := of[place{part, level}]
			if busy[place{part, level + 1}] || !slices.ContainsFunc(nodes, func(n *ops.Node) bool { return sent[n] }) {
				continue
			}
			// What others wait for, and what that needs, goes first.
			first := map[*ops.Node]bool{}
			states := map[*ops.Node]bool{}
			heavy := false
			for _, n := range slices.Backward(nodes) {
				touches := false
				for _, v := range n.In {
					touches = touches || states[ops.Root(a.base(v))]
				}
				if !sent[n] && !first[n] && !touches {
					heavy = heavy || a.readsMatrix(n)
					continue
				}
				first[n] = true
				for _, v := range n.In {
					b := a.base(v)
					first[b.Node()] = true
					if s := ops.Root(b); s.Leaf == ops.State {
						states[s] = true
					}
				}
			}
			if !heavy {
				continue
			}
			for _, n := range nodes {
				if !first[n] {
					a.level[n] = level + 1
				}
			}
		}
	}
}

// readsMatrix reports whether a node multiplies with weights, which takes time.
func (a *assignment) readsMatrix(n *ops.Node) bool {
	return slices.ContainsFunc(n.In, func(v ops.Value) bool {
		w := ops.Root(a.base(v))
		return w.Leaf == ops.Weight && len(w.Out[0].Shape) > 1
	})
}
