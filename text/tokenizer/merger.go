package tokenizer

// ranker says which neighbours merge. Key orders the merges, lowest first; sym is the symbol of the result.
type ranker interface {
	rank(g *merger, i, j int32) (key uint32, sym int32, ok bool)
}

// merger repeatedly merges the adjacent pair of symbols with the lowest key, the leftmost of equals, until none
// is left. The caller calls reset, appends the initial symbols (at least one) to sym, calls run, and walks the
// result from symbol 0 along next.
type merger struct {
	sym        []int32
	prev, next []int32 // linked list of live symbols; -1 at the ends
	heap       []uint64
	keys       []uint64

	// For models that rank by text: the word, and where symbols begin; symbol i ends where symbol next[i] begins.
	text  string
	start []int32
}

func (g *merger) reset() {
	g.sym, g.start = g.sym[:0], g.start[:0]
}

// smallWord is the number of symbols up to which scanning all pairs is faster than a heap.
const smallWord = 24

const noPair = ^uint64(0)

func (g *merger) run(r ranker) {
	g.link()
	if len(g.sym) <= smallWord {
		g.runScan(r)
	} else {
		g.runHeap(r)
	}
}

// link puts all symbols into the list.
func (g *merger) link() {
	n := int32(len(g.sym))
	g.prev, g.next = g.prev[:0], g.next[:0]
	for i := range n {
		g.prev = append(g.prev, i-1)
		g.next = append(g.next, i+1)
	}
	g.next[n-1] = -1
}

// pairKey returns the key of the pair that begins at symbol i, with its position in the low half so that equal
// keys order from the left; noPair if the pair does not merge.
func (g *merger) pairKey(r ranker, i int32) uint64 {
	j := g.next[i]
	if j < 0 {
		return noPair
	}
	key, _, ok := r.rank(g, i, j)
	if !ok {
		return noPair
	}
	return uint64(key)<<32 | uint64(uint32(i))
}

// join merges symbol i with its right neighbour.
func (g *merger) join(i, sym int32) {
	j := g.next[i]
	g.sym[i] = sym
	g.next[i] = g.next[j]
	if k := g.next[j]; k >= 0 {
		g.prev[k] = i
	}
	g.next[j] = dead
}

// dead in next marks a symbol that was merged into its left neighbour.
const dead = -2

// runScan keeps the key of each pair and scans them all for each merge.
func (g *merger) runScan(r ranker) {
	g.keys = g.keys[:0]
	for i := range int32(len(g.sym)) {
		g.keys = append(g.keys, g.pairKey(r, i))
	}
	for {
		best := noPair
		for _, k := range g.keys {
			best = min(best, k)
		}
		if best == noPair {
			return
		}
		i := int32(uint32(best))
		j := g.next[i]
		_, sym, _ := r.rank(g, i, j)
		g.join(i, sym)
		g.keys[j] = noPair
		g.keys[i] = g.pairKey(r, i)
		if p := g.prev[i]; p >= 0 {
			g.keys[p] = g.pairKey(r, p)
		}
	}
}

// runHeap keeps the keys in a binary heap, and drops those that no longer describe their pair as they surface:
// O(n log n).
func (g *merger) runHeap(r ranker) {
	g.heap = g.heap[:0]
	for i := range int32(len(g.sym)) {
		if k := g.pairKey(r, i); k != noPair {
			g.heap = append(g.heap, k)
		}
	}
	for i := len(g.heap)/2 - 1; i >= 0; i-- {
		g.down(i)
	}
	for len(g.heap) > 0 {
		top := g.heap[0]
		last := len(g.heap) - 1
		g.heap[0] = g.heap[last]
		g.heap = g.heap[:last]
		g.down(0)

		i := int32(uint32(top))
		if g.next[i] < 0 {
			continue
		}
		key, sym, ok := r.rank(g, i, g.next[i])
		if !ok || key != uint32(top>>32) {
			continue
		}
		g.join(i, sym)
		g.push(g.pairKey(r, i))
		if p := g.prev[i]; p >= 0 {
			g.push(g.pairKey(r, p))
		}
	}
}

func (g *merger) push(k uint64) {
	if k == noPair {
		return
	}
	h := append(g.heap, k)
	for i := len(h) - 1; i > 0; {
		p := (i - 1) / 2
		if h[p] <= k {
			break
		}
		h[i], h[p] = h[p], h[i]
		i = p
	}
	g.heap = h
}

func (g *merger) down(i int) {
	h := g.heap
	for {
		c := 2*i + 1
		if c >= len(h) {
			return
		}
		if c+1 < len(h) && h[c+1] < h[c] {
			c++
		}
		if h[i] <= h[c] {
			return
		}
		h[i], h[c] = h[c], h[i]
		i = c
	}
}
