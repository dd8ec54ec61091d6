package ops

import (
	"fmt"

	"github.com/hipengine/hipengine/tensor"
)

// AttentionAttrs are the attributes of [AttentionOp]. All of them change the answer: a device that cannot honour
// one must not claim support.
type AttentionAttrs struct {
	Scale   float32 // on the dot products
	Softcap float32 // scores become Softcap·tanh(score/Softcap) before masking; 0 for none
	Window  int     // a query at p sees keys at p-Window+1..p; 0 for all
}

// AttentionOp is causal softmax attention over a paged KV cache.
var AttentionOp = Register(&Def{
	Name: "attention",
	Infer: func(n *Node) error {
		if len(n.In) != 6 && len(n.In) != 7 {
			return fmt.Errorf("%d inputs, want 6 or 7", len(n.In))
		}
		q, k, v, a := n.In[0], n.In[1], n.In[2], n.Attrs.(AttentionAttrs)
		if err := is(q, "q", tensor.F32, 3); err != nil {
			return err
		}
		if err := is(k, "k", k.DType(), 4); err != nil {
			return err
		}
		if err := is(v, "v", v.DType(), 4); err != nil {
			return err
		}
		qs, ks, vs := q.Shape(), k.Shape(), v.Shape()
		if ks[3] != qs[2] || !ks[:3].Equal(vs[:3]) {
			return fmt.Errorf("q %v, k %v and v %v do not fit together", qs, ks, vs)
		}
		if qs[1]%ks[2] != 0 {
			return fmt.Errorf("%d query heads are not a multiple of %d KV heads", qs[1], ks[2])
		}
		if a.Window < 0 || a.Softcap < 0 {
			return fmt.Errorf("negative window %d or softcap %g", a.Window, a.Softcap)
		}
		if len(n.In) == 7 {
			if err := vector(n.In[6], "sinks", qs[1]); err != nil {
				return err
			}
		}
		n.Out = []Type{{tensor.F32, tensor.Shape{qs[0], qs[1], vs[3]}}}
		return pagedIndex(n.In[3], n.In[4], n.In[5], qs[0])
	},
	Cases: func() []Case {
		var cs []Case
		add := func(name string, dt tensor.DType, heads, kv, dk, dv int, a AttentionAttrs, sinks bool, b batch) {
			c := Case{Name: name, Attrs: a, Args: []Arg{
				f32(b.tokens, heads, dk),
				{Leaf: State, DType: dt, Shape: tensor.Shape{b.totalPages, b.page, kv, dk}},
				{Leaf: State, DType: dt, Shape: tensor.Shape{b.totalPages, b.page, kv, dv}},
				i32(b.pos), i32(b.seq), b.pageTable()}}
			if sinks {
				c.Args = append(c.Args, f32(heads))
			}
			cs = append(cs, c)
		}
		plain := AttentionAttrs{Scale: 0.125}
		for _, dt := range tensor.CacheTypes() {
			add(fmt.Sprintf("%v/first", dt), dt, 1, 1, 64, 64, plain, false, layout(8, span{0, 1}))
			add(fmt.Sprintf("%v/decode", dt), dt, 4, 2, 64, 64, plain, false,
				layout(8, span{70, 1}, span{7, 1}, span{8, 1}))
			add(fmt.Sprintf("%v/prefill", dt), dt, 4, 1, 64, 64, plain, false, layout(8, span{0, 33}))
			add(fmt.Sprintf("%v/mixed", dt), dt, 2, 2, 128, 128, plain, false,
				layout(8, span{5, 17}, span{64, 1}, span{0, 3}))
			// Many runs of keys, and groups of heads that blocks of matrix kernels are no multiple of.
			add(fmt.Sprintf("%v/long", dt), dt, 6, 2, 128, 128, plain, false, layout(8, span{90, 40}, span{0, 21}))
			add(fmt.Sprintf("%v/long/d256", dt), dt, 3, 1, 256, 256, AttentionAttrs{Scale: -0.0625}, true,
				layout(16, span{75, 37}))
			add(fmt.Sprintf("%v/d96", dt), dt, 3, 1, 96, 96, AttentionAttrs{Scale: 0.1, Window: 50}, true,
				layout(8, span{65, 18}, span{3, 5}))
			add(fmt.Sprintf("%v/d512", dt), dt, 3, 1, 512, 512, AttentionAttrs{Scale: 0.04, Softcap: 30}, false,
				layout(16, span{35, 18}).padded(1))
		}
		add("d256", tensor.F32, 2, 1, 256, 256, AttentionAttrs{Scale: 0.0625}, false, layout(8, span{3, 19}))
		add("f16/d80", tensor.F16, 4, 2, 80, 80, AttentionAttrs{Scale: 0.1}, true, layout(8, span{70, 20}))
		add("bf16/d80", tensor.BF16, 2, 1, 80, 80, AttentionAttrs{Scale: 0.1, Window: 9}, false, layout(8, span{2, 17}))
		add("d64v96", tensor.F32, 6, 2, 64, 96, plain, false, layout(8, span{9, 5}))
		add("window1", tensor.F32, 2, 1, 32, 32, AttentionAttrs{Scale: 0.2, Window: 1}, false, layout(8, span{4, 6}))
		add("window16", tensor.F32, 2, 1, 32, 32, AttentionAttrs{Scale: 0.2, Window: 16}, false,
			layout(8, span{13, 11}, span{40, 1}))
		add("softcap", tensor.F32, 2, 1, 32, 32, AttentionAttrs{Scale: 1, Softcap: 5}, false, layout(8, span{2, 9}))
		add("sinks", tensor.F32, 4, 2, 32, 32, plain, true, layout(8, span{0, 9}, span{20, 1}))
		add("padded", tensor.F32, 2, 1, 32, 32, plain, false, layout(8, span{0, 4}, span{17, 1}).padded(3))
		add("long/window", tensor.F16, 4, 1, 128, 128, AttentionAttrs{Scale: 0.1, Window: 40}, true,
			layout(64, span{150, 35}).padded(2))
		add("long/softcap", tensor.BF16, 2, 2, 64, 64, AttentionAttrs{Scale: -0.3, Softcap: 4}, false,
			layout(32, span{100, 33}))
		// scores near ±1000
		add("large", tensor.F32, 2, 1, 32, 32, AttentionAttrs{Scale: 40}, false, layout(8, span{30, 3}))
		return cs
	},
	Work: func(n *Node) (flop, bytes int64) {
		q, k, v, pages := n.In[0].Shape(), n.In[1], n.In[2].Shape(), n.In[5].Shape()
		keys := int64(pages[1]) * int64(k.Shape()[1])
		kb, _ := tensor.Bytes(k.DType(), tensor.Shape{int(keys), k.Shape()[2], k.Shape()[3] + v[3]}) // sizes exist
		return 2 * int64(q[0]) * int64(q[1]) * keys * int64(q[2]+v[3]),
			int64(pages[0])*kb + 4*int64(q[0])*int64(q[1])*int64(q[2]+v[3])
	},
})

// Attention returns o[t][h] = Σ_j p_j·v_j over the keys j that token t sees, with p = softmax(Scale·q·k). Token t
// of sequence seq[t] at position pos[t] sees positions 0..pos[t] of its own sequence, or the last Window of them.
// Query head h uses KV head h/(heads/KV heads). q: F32 [tokens, heads, key dim]; k, v: caches as KVAppend returns
// them, [pages, page size, KV heads, key dim] and [..., value dim]; pos, seq, pages as for KVAppend; sinks, the
// zero Value for none: F32 [heads], a logit that joins the softmax without a value. Result F32 [tokens, heads,
// value dim]; rows of padding tokens (seq < 0) are zero.
func Attention(g *Graph, q, k, v, pos, seq, pages, sinks Value, a AttentionAttrs) Value {
	in := []Value{q, k, v, pos, seq, pages}
	if sinks.Valid() {
		in = append(in, sinks)
	}
	return one(g.Add(AttentionOp, a, in...))
}
