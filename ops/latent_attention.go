package ops

import (
	"fmt"

	"github.com/hipengine/hipengine/tensor"
)

// LatentAttentionAttrs are the attributes of [LatentAttentionOp].
type LatentAttentionAttrs struct {
	Scale  float32 // on the dot products
	Values int     // elements of a row of the cache that are its values, the first ones
}

// LatentAttentionOp is causal softmax attention over a paged cache of latent vectors, one for each token, which all
// heads share as their key and whose first part is their value: multi-head latent attention with the projections of
// keys and values moved to queries and results (DeepSeek-AI 2024, arXiv 2405.04434, section 2.1 and appendix C).
var LatentAttentionOp = Register(&Def{
	Name: "latent_attention",
	Infer: func(n *Node) error {
		if err := arity(n, 5); err != nil {
			return err
		}
		q, c, a := n.In[0], n.In[1], n.Attrs.(LatentAttentionAttrs)
		if err := is(q, "q", tensor.F32, 3); err != nil {
			return err
		}
		if err := is(c, "cache", c.DType(), 4); err != nil {
			return err
		}
		qs, cs := q.Shape(), c.Shape()
		if cs[2] != 1 || cs[3] != qs[2] {
			return fmt.Errorf("q %v and a cache of %v do not fit together: it has one row a token, as long as a query",
				qs, cs)
		}
		if a.Values < 1 || a.Values > cs[3] {
			return fmt.Errorf("%d values in rows of %d", a.Values, cs[3])
		}
		n.Out = []Type{{tensor.F32, tensor.Shape{qs[0], qs[1], a.Values}}}
		return pagedIndex(n.In[2], n.In[3], n.In[4], qs[0])
	},
	Cases: func() []Case {
		var cs []Case
		add := func(name string, dt tensor.DType, page, heads, dim, values int, scale float32, b batch) {
			cs = append(cs, Case{Name: name, Attrs: LatentAttentionAttrs{Scale: scale, Values: values}, Args: []Arg{
				f32(b.tokens, heads, dim), {Leaf: State, DType: dt, Shape: tensor.Shape{b.totalPages, page, 1, dim}},
				i32(b.pos), i32(b.seq), b.pageTable()}})
		}
		for _, dt := range tensor.CacheTypes() {
			add(fmt.Sprintf("%v/first", dt), dt, 8, 1, 96, 64, 0.125, layout(8, span{0, 1}))
			add(fmt.Sprintf("%v/decode", dt), dt, 8, 4, 96, 64, 0.125, layout(8, span{70, 1}, span{7, 1}, span{8, 1}))
			add(fmt.Sprintf("%v/mixed", dt), dt, 8, 5, 96, 32, 0.125, layout(8, span{5, 17}, span{64, 1}, span{0, 3}))
			add(fmt.Sprintf("%v/whole", dt), dt, 16, 17, 576, 512, 0.04,
				layout(16, span{37, 1}, span{0, 2}).padded(1))
		}
		add("d48v32", tensor.F32, 8, 3, 48, 32, 0.2, layout(8, span{9, 5}))
		add("all", tensor.F32, 8, 2, 64, 64, 0.125, layout(8, span{3, 9}))
		add("padded", tensor.F32, 8, 2, 32, 16, 0.2, layout(8, span{0, 4}, span{17, 1}).padded(3))
		// scores near ±1000
		add("large", tensor.F32, 8, 2, 32, 16, 40, layout(8, span{30, 3}))
		return cs
	},
	Work: func(n *Node) (flop, bytes int64) {
		q, c, pages, values := n.In[0].Shape(), n.In[1], n.In[4].Shape(), n.Out[0].Shape[2]
		keys := int64(pages[1]) * int64(c.Shape()[1])
		row, _ := tensor.Bytes(c.DType(), tensor.Shape{int(keys), c.Shape()[3]}) // sizes exist
		dims := int64(q[2] + values)
		return 2 * int64(q[0]) * int64(q[1]) * keys * dims, int64(pages[0])*row + 4*int64(q[0])*int64(q[1])*dims
	},
})

// LatentAttention returns o[t][h] = Σ_j p_j·c_j[:Values] over the rows j that token t sees, with p =
// softmax(Scale·q[t][h]·c). Token t of sequence seq[t] at position pos[t] sees positions 0..pos[t] of its own sequence.
// q: F32 [tokens, heads, dim]; cache: as KVAppend returns it, [pages, page size, 1, dim]; pos, seq, pages as for
// KVAppend. Result F32 [tokens, heads, Values]; rows of padding tokens (seq < 0) are zero.
func LatentAttention(g *Graph, q, cache, pos, seq, pages Value, a LatentAttentionAttrs) Value {
	return one(g.Add(LatentAttentionOp, a, q, cache, pos, seq, pages))
}
