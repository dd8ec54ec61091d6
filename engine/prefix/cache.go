package prefix

import "container/list"

// Entry is a state that a Cache holds.
type Entry[S any] struct {
	State S
	// Len is how many tokens led to the state, and Floor the smallest number of them to which the state can be cut
	// back, at least 1. A state that cannot be cut, such as that of a recurrent model, has Floor == Len.
	Len, Floor int

	bytes int64
	used  uint64 // when it was used last, for comparison
	node  *node[S]
	age   *list.Element
}

// Cache maps token sequences to states, in spaces that do not see each other. What was used least recently goes first
// when the states exceed the budget. A Cache belongs to one goroutine.
type Cache[S any] struct {
	budget, used int64
	drop         func(S)
	roots        map[string]*node[S]
	ages         *list.List // of *Entry[S], oldest first
	clock        uint64     // counts uses
}

// New returns an empty cache for states of budget bytes in all. drop frees a state that leaves the cache.
func New[S any](budget int64, drop func(S)) *Cache[S] {
	return &Cache[S]{budget: budget, drop: drop, roots: map[string]*node[S]{}, ages: list.New()}
}

// Len returns the number of states.
func (c *Cache[S]) Len() int { return c.ages.Len() }

// Bytes returns what the states take, at most the budget.
func (c *Cache[S]) Bytes() int64 { return c.used }

// Find returns the state from which the largest number n of the first ids need not be read, and n; nil and 0 if there
// is none. Of equal ones it takes the youngest. known is how many of the first ids are those of some entry, whether or
// not its state can be cut back to there. Find does not count as a use.
func (c *Cache[S]) Find(space string, ids []int32) (best *Entry[S], n, known int) {
	root := c.roots[space]
	if root == nil {
		return nil, 0, 0
	}
	at, known := root.walk(ids)
	// All entries under the node where the ids leave the tree share their known first ones; those that are only under
	// its parent share less, and so on upwards.
	var below *node[S]
	for depth := known; at != nil && best == nil; at, below = at.parent, at {
		if below != nil {
			depth = at.depth
		}
		at.each(below, func(e *Entry[S]) {
			if e.Floor <= depth && (best == nil || e.used > best.used) {
				best = e
			}
		})
		n = depth
	}
	if best == nil {
		n = 0
	}
	return best, n, known
}

// Covers reports whether an entry of the same or more tokens can be cut back to wherever one of ids with the given
// floor could, so that adding that would be of no use. The entry counts as used.
func (c *Cache[S]) Covers(space string, ids []int32, floor int) bool {
	root := c.roots[space]
	if root == nil {
		return false
	}
	at, known := root.walk(ids)
	if known < len(ids) {
		return false
	}
	var found *Entry[S]
	at.each(nil, func(e *Entry[S]) {
		if e.Floor <= floor && (found == nil || e.used > found.used) {
			found = e
		}
	})
	if found == nil {
		return false
	}
	c.Use(found)
	return true
}

// Use marks an entry as the youngest.
func (c *Cache[S]) Use(e *Entry[S]) {
	c.clock++
	e.used = c.clock
	c.ages.MoveToBack(e.age)
}

// Add puts in the state that ids led to, of which there is at least one, and drops what it makes useless: entries of a
// part of ids that cannot be cut back further. To keep the budget it drops the oldest entries. It returns false, and
// the state stays the caller's, if that alone exceeds the budget.
func (c *Cache[S]) Add(space string, ids []int32, floor int, bytes int64, state S) bool {
	if bytes > c.budget || len(ids) == 0 {
		return false
	}
	root := c.roots[space]
	if root == nil {
		root = &node[S]{space: space}
		c.roots[space] = root
	}
	e := &Entry[S]{State: state, Len: len(ids), Floor: min(max(floor, 1), len(ids)), bytes: bytes}
	at := root.insert(ids)
	old := at.entry
	at.entry, e.node = e, at
	e.age = c.ages.PushBack(e)
	c.Use(e)
	c.used += bytes
	if old != nil {
		c.forget(old)
	}
	var useless []*Entry[S]
	for p := at.parent; p != nil; p = p.parent {
		if p.entry != nil && p.entry.Floor >= e.Floor {
			useless = append(useless, p.entry)
		}
	}
	for _, u := range useless {
		c.Remove(u)
	}
	for c.used > c.budget {
		c.Remove(c.Oldest())
	}
	return true
}

// Oldest returns the entry that was used least recently, or nil.
func (c *Cache[S]) Oldest() *Entry[S] {
	if front := c.ages.Front(); front != nil {
		return front.Value.(*Entry[S])
	}
	return nil
}

// Remove drops an entry, which must be in the cache.
func (c *Cache[S]) Remove(e *Entry[S]) {
	at := e.node
	at.entry = nil
	c.forget(e)
	if root := at.prune(); root.empty() {
		delete(c.roots, root.space)
	}
}

// forget drops the state of an entry that is no longer in the tree.
func (c *Cache[S]) forget(e *Entry[S]) {
	c.ages.Remove(e.age)
	c.used -= e.bytes
	c.drop(e.State)
}

// Clear drops all entries.
func (c *Cache[S]) Clear() {
	for c.Len() > 0 {
		c.Remove(c.Oldest())
	}
}

// Path returns the space and the ids of an entry, in a new slice.
func (e *Entry[S]) Path() (space string, ids []int32) {
	ids = make([]int32, e.Len)
	at := e.node
	for ; at.parent != nil; at = at.parent {
		copy(ids[at.parent.depth:], at.edge)
	}
	return at.space, ids
}
