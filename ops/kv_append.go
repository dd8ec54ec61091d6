package ops

import (
	"fmt"

	"github.com/hipengine/hipengine/tensor"
)

// KVAppendOp writes keys or values of new tokens into the paged cache.
var KVAppendOp = Register(&Def{
	Name:    "kv_append",
	InPlace: map[int]int{0: 0},
	Infer: func(n *Node) error {
		if err := arity(n, 5); err != nil {
			return err
		}
		cache, x := n.In[0], n.In[1]
		if err := is(cache, "cache", cache.DType(), 4); err != nil {
			return err
		}
		if err := is(x, "x", tensor.F32, 3); err != nil {
			return err
		}
		if c, s := cache.Shape(), x.Shape(); c[2] != s[1] || c[3] != s[2] {
			return fmt.Errorf("heads %v of x do not fit cache %v", s[1:], c)
		}
		n.Out = []Type{cache.Type()}
		return pagedIndex(n.In[2], n.In[3], n.In[4], x.Shape()[0])
	},
	Cases: func() []Case {
		var cs []Case
		for _, dt := range tensor.CacheTypes() {
			for _, c := range []struct {
				name  string
				pad   int
				spans []span
			}{{"first", 0, []span{{0, 1}}}, {"cross", 0, []span{{6, 5}}},
				{"three", 0, []span{{0, 9}, {7, 1}, {15, 2}}},
				{"padded", 5, []span{{3, 2}, {9, 1}}}} {
				b := layout(8, c.spans...).padded(c.pad)
				cs = append(cs, Case{Name: fmt.Sprintf("%v/%s", dt, c.name), Args: []Arg{
					{Leaf: State, DType: dt, Shape: tensor.Shape{b.totalPages, 8, 2, 32}}, f32(b.tokens, 2, 32),
					i32(b.pos), i32(b.seq), b.pageTable()}})
			}
		}
		return cs
	},
})

// KVAppend stores x[t] at position pos[t] of sequence seq[t] and returns the updated cache. cache: a state
// [pages, page size, KV heads, head dim] in the cache's type (F32, F16, Q8_0, ...); x: F32 [tokens, KV heads,
// head dim]; pos, seq: I32 [tokens]; pages: I32 [sequences, pages per sequence], the page table. A token whose
// seq is negative is padding and is not stored. No two tokens of a call share a place.
func KVAppend(g *Graph, cache, x, pos, seq, pages Value) Value {
	return one(g.Add(KVAppendOp, nil, cache, x, pos, seq, pages))
}

// pagedIndex checks the index operands that address a paged cache.
func pagedIndex(pos, seq, pages Value, tokens int) error {
	if err := ints(pos, "pos", tokens); err != nil {
		return err
	}
	if err := ints(seq, "seq", tokens); err != nil {
		return err
	}
	return is(pages, "pages", tensor.I32, 2)
}
