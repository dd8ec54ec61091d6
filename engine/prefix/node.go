package prefix

import "slices"

// node is a place in a radix tree where token sequences part or end.
type node[S any] struct {
	parent *node[S] // nil of a root
	edge   []int32  // tokens between the parent and the node
	depth  int      // tokens between the root and the node
	next   map[int32]*node[S]
	entry  *Entry[S] // nil where sequences only part
	space  string    // of a root
}

func (n *node[S]) empty() bool { return n.entry == nil && len(n.next) == 0 }

// common returns how many first tokens a and b share.
func common(a, b []int32) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// walk follows ids from a root as far as the tree knows them. It returns how far that is, and the node at or next
// below that point.
func (n *node[S]) walk(ids []int32) (at *node[S], known int) {
	at = n
	for known < len(ids) {
		child := at.next[ids[known]]
		if child == nil {
			break
		}
		k := common(child.edge, ids[known:])
		at, known = child, known+k
		if k < len(child.edge) {
			break
		}
	}
	return at, known
}

// insert returns the node of ids, which it makes if there is none.
func (n *node[S]) insert(ids []int32) *node[S] {
	at, known := n.walk(ids)
	if known < at.depth { // within the edge to at
		mid := &node[S]{parent: at.parent, edge: at.edge[:known-at.parent.depth], depth: known,
			next: map[int32]*node[S]{}}
		at.parent.next[mid.edge[0]] = mid
		at.edge, at.parent = at.edge[len(mid.edge):], mid
		mid.next[at.edge[0]] = at
		at = mid
	}
	if known == len(ids) {
		return at
	}
	leaf := &node[S]{parent: at, edge: slices.Clone(ids[known:]), depth: len(ids)}
	if at.next == nil {
		at.next = map[int32]*node[S]{}
	}
	at.next[leaf.edge[0]] = leaf
	return leaf
}

// prune takes out the node and those above it that neither hold an entry nor part sequences, and returns the root.
func (n *node[S]) prune() *node[S] {
	for n.parent != nil {
		p := n.parent
		switch {
		case n.empty():
			delete(p.next, n.edge[0])
		case n.entry == nil && len(n.next) == 1:
			for _, child := range n.next {
				child.edge, child.parent = slices.Concat(n.edge, child.edge), p
				p.next[child.edge[0]] = child
			}
		}
		n = p
	}
	return n
}

// each calls f with the entries of the node and of all below it but those of one child.
func (n *node[S]) each(but *node[S], f func(*Entry[S])) {
	if n.entry != nil {
		f(n.entry)
	}
	for _, child := range n.next {
		if child != but {
			child.each(nil, f)
		}
	}
}
