package prefix

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// plain is the cache as a list, oldest first.
type plain struct {
	budget  int64
	entries []record
}

type record struct {
	space string
	ids   []int32
	floor int
	bytes int64
	state int
}

func (p *plain) find(space string, ids []int32) (state, n, known int) {
	for i := len(p.entries) - 1; i >= 0; i-- {
		e := p.entries[i]
		if e.space != space {
			continue
		}
		k := common(e.ids, ids)
		known = max(known, k)
		if k >= e.floor && k > n {
			state, n = e.state, k
		}
	}
	return state, n, known
}

func (p *plain) use(state int) {
	i := slices.IndexFunc(p.entries, func(r record) bool { return r.state == state })
	e := p.entries[i]
	p.entries = append(slices.Delete(p.entries, i, i+1), e)
}

func (p *plain) covers(space string, ids []int32, floor int) bool {
	for i := len(p.entries) - 1; i >= 0; i-- {
		e := p.entries[i]
		if e.space == space && common(e.ids, ids) == len(ids) && e.floor <= floor {
			p.use(e.state)
			return true
		}
	}
	return false
}

func (p *plain) add(n record) bool {
	if n.bytes > p.budget {
		return false
	}
	p.entries = slices.DeleteFunc(p.entries, func(e record) bool {
		same := e.space == n.space && common(e.ids, n.ids) == len(e.ids)
		return same && (len(e.ids) == len(n.ids) || e.floor >= n.floor)
	})
	p.entries = append(p.entries, n)
	for p.bytes() > p.budget {
		p.entries = p.entries[1:]
	}
	return true
}

func (p *plain) bytes() (n int64) {
	for _, e := range p.entries {
		n += e.bytes
	}
	return n
}

// check compares the shape of the tree with the rules that hold for it.
func (c *Cache[S]) check(t *testing.T) {
	t.Helper()
	entries := 0
	var visit func(n *node[S])
	visit = func(n *node[S]) {
		if n.entry != nil {
			entries++
		}
		if n.parent != nil && n.entry == nil && len(n.next) < 2 {
			t.Fatalf("a node at depth %d with %d children holds nothing", n.depth, len(n.next))
		}
		for first, child := range n.next {
			if child.parent != n || child.edge[0] != first || child.depth != n.depth+len(child.edge) {
				t.Fatalf("a child of the node at depth %d is out of place", n.depth)
			}
			visit(child)
		}
	}
	for space, root := range c.roots {
		if root.empty() || root.space != space {
			t.Fatalf("the root of space %q is empty or misnamed", space)
		}
		visit(root)
	}
	if entries != c.Len() || c.used > c.budget {
		t.Fatalf("%d entries in the trees and %d by age; %d bytes of %d", entries, c.Len(), c.used, c.budget)
	}
}

// TestAgainstList takes 10,000 random steps in the cache and in a list, and expects the same answers and the same
// states alive.
func TestAgainstList(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 18))
	alive := map[int]bool{}
	c := New(60, func(s int) {
		if !alive[s] {
			t.Fatalf("state %d is dropped twice", s)
		}
		delete(alive, s)
	})
	p := &plain{budget: 60}
	hits, evicted, refused := 0, 0, 0
	for i := range 10000 {
		ids := make([]int32, 1+rng.IntN(10))
		for j := range ids {
			ids[j] = int32(rng.IntN(2))
		}
		space := fmt.Sprint("key ", rng.IntN(3))
		switch rng.IntN(8) {
		case 0, 1, 2:
			state := i + 1
			floor := []int{1, len(ids), 1 + rng.IntN(len(ids))}[rng.IntN(3)]
			bytes := int64(rng.IntN(20))
			if rng.IntN(100) == 0 {
				bytes += 60
			}
			alive[state] = true
			got := c.Add(space, ids, floor, bytes, state)
			if want := p.add(record{space, ids, floor, bytes, state}); got != want {
				t.Fatalf("step %d: Add %v, want %v", i, got, want)
			}
			if !got {
				delete(alive, state)
				refused++
			}
		case 3, 4, 5:
			e, n, known := c.Find(space, ids)
			state, wantN, wantKnown := p.find(space, ids)
			if n != wantN || known != wantKnown || (e == nil) != (n == 0) || e != nil && e.State != state {
				t.Fatalf("step %d: Find %v in %q: %+v of %d known %d, want state %d of %d known %d", i, ids, space, e,
					n, known, state, wantN, wantKnown)
			}
			if e != nil {
				hits++
				c.Use(e)
				p.use(state)
				if s, path := e.Path(); s != space || !slices.Equal(path[:n], ids[:n]) || len(path) != e.Len {
					t.Fatalf("step %d: the path of the hit is %q %v", i, s, path)
				}
			}
		case 6:
			floor := 1 + rng.IntN(len(ids))
			if got, want := c.Covers(space, ids, floor), p.covers(space, ids, floor); got != want {
				t.Fatalf("step %d: Covers %v, want %v", i, got, want)
			}
		case 7:
			if e := c.Oldest(); e != nil {
				evicted++
				if e.State != p.entries[0].state {
					t.Fatalf("step %d: the oldest is %d, want %d", i, e.State, p.entries[0].state)
				}
				c.Remove(e)
				p.entries = p.entries[1:]
			}
		}
		c.check(t)
		if len(alive) != len(p.entries) || c.Bytes() != p.bytes() {
			t.Fatalf("step %d: %d states alive in %d bytes, want %d in %d", i, len(alive), c.Bytes(), len(p.entries),
				p.bytes())
		}
		for _, e := range p.entries {
			if !alive[e.state] {
				t.Fatalf("step %d: state %d was dropped", i, e.state)
			}
		}
	}
	if hits < 1000 || evicted < 500 || refused < 10 {
		t.Errorf("%d hits, %d evictions, %d refusals: the steps test little", hits, evicted, refused)
	}
	c.Clear()
	if len(alive) != 0 || c.Bytes() != 0 || len(c.roots) != 0 {
		t.Errorf("after Clear: %d states, %d bytes, %d spaces", len(alive), c.Bytes(), len(c.roots))
	}
}
