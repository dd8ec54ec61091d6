package ops

import (
	"fmt"

	"github.com/hipengine/hipengine/tensor"
)

// BidirectionalAttentionAttrs are the attributes of [BidirectionalAttentionOp].
type BidirectionalAttentionAttrs struct {
	Scale float32 // on the dot products
	Reach int     // a query sees keys at most so many tokens before and behind it; 0 for all
}

// BidirectionalAttentionOp is the softmax attention of encoders: tokens see those behind them too, so that all of a
// sequence must be in one step and nothing is kept of it.
var BidirectionalAttentionOp = Register(&Def{
	Name: "bidirectional_attention",
	Infer: func(n *Node) error {
		if err := arity(n, 5); err != nil {
			return err
		}
		for i, name := range []string{"q", "k", "v"} {
			if err := is(n.In[i], name, tensor.F32, 3); err != nil {
				return err
			}
		}
		q, k, v, a := n.In[0].Shape(), n.In[1].Shape(), n.In[2].Shape(), n.Attrs.(BidirectionalAttentionAttrs)
		if q[0] != k[0] || q[2] != k[2] || !k[:2].Equal(v[:2]) {
			return fmt.Errorf("q %v, k %v and v %v do not fit together", q, k, v)
		}
		if q[1]%k[1] != 0 {
			return fmt.Errorf("%d query heads are not a multiple of %d KV heads", q[1], k[1])
		}
		if a.Reach < 0 {
			return fmt.Errorf("negative reach %d", a.Reach)
		}
		if err := ints(n.In[3], "seq", q[0]); err != nil {
			return err
		}
		if err := is(n.In[4], "starts", tensor.I32, 1); err != nil {
			return err
		}
		if n.In[4].Shape()[0] < 2 {
			return fmt.Errorf("starts %v is of no sequence", n.In[4].Shape())
		}
		n.Out = []Type{{tensor.F32, tensor.Shape{q[0], q[1], v[2]}}}
		return nil
	},
	Cases: func() []Case {
		var cs []Case
		add := func(name string, heads, kv, dk, dv int, a BidirectionalAttentionAttrs, b batch) {
			cs = append(cs, Case{Name: name, Attrs: a, Args: []Arg{
				f32(b.tokens, heads, dk), f32(b.tokens, kv, dk), f32(b.tokens, kv, dv), i32(b.seq), i32(b.starts)}})
		}
		plain := BidirectionalAttentionAttrs{Scale: 0.125}
		add("one", 1, 1, 64, 64, plain, layout(8, span{0, 1}))
		add("whole", 2, 2, 64, 64, plain, layout(8, span{0, 37}))
		add("several", 4, 2, 32, 32, plain, layout(8, span{0, 3}, span{0, 33}, span{0, 1}, span{0, 6}))
		add("reach1", 2, 1, 32, 32, BidirectionalAttentionAttrs{Scale: 0.2, Reach: 1}, layout(8, span{0, 9}))
		add("reach8", 2, 1, 32, 32, BidirectionalAttentionAttrs{Scale: 0.2, Reach: 8},
			layout(8, span{0, 41}, span{0, 19}))
		add("reach40", 1, 1, 32, 32, BidirectionalAttentionAttrs{Scale: 0.2, Reach: 40}, layout(8, span{0, 90}))
		add("d256", 1, 1, 256, 256, BidirectionalAttentionAttrs{Scale: 0.0625}, layout(8, span{0, 18}))
		add("d20v12", 2, 1, 20, 12, plain, layout(8, span{0, 7}))
		add("padded", 2, 1, 32, 32, plain, layout(8, span{0, 4}, span{0, 5}).padded(7))
		// scores near ±1000
		add("large", 1, 1, 32, 32, BidirectionalAttentionAttrs{Scale: 40}, layout(8, span{0, 21}))
		return cs
	},
	Work: func(n *Node) (flop, bytes int64) {
		q, k, v := n.In[0].Shape(), n.In[1].Shape(), n.In[2].Shape()
		keys := int64(q[0]) // one sequence, which is the most
		if r := n.Attrs.(BidirectionalAttentionAttrs).Reach; r > 0 {
			keys = min(keys, 2*int64(r)+1)
		}
		return 2 * int64(q[0]) * int64(q[1]) * keys * int64(q[2]+v[2]),
			4 * int64(q[0]) * int64(q[1]+k[1]) * int64(q[2]+v[2])
	},
})

// BidirectionalAttention returns o[t][h] = Σ_j p_j·v_j over the tokens j of the sequence of token t, or those of them
// that are at most Reach rows away, with p = softmax(Scale·q·k). Query head h uses KV head h/(heads/KV heads). q: F32
// [tokens, heads, key dim]; k: F32 [tokens, KV heads, key dim]; v: F32 [tokens, KV heads, value dim]; seq: I32
// [tokens], the sequence of each token, negative for padding; starts: I32 [sequences+1], the first row of each, where
// all of its tokens are. Result F32 [tokens, heads, value dim]; rows of padding are zero.
func BidirectionalAttention(g *Graph, q, k, v, seq, starts Value, a BidirectionalAttentionAttrs) Value {
	return one(g.Add(BidirectionalAttentionOp, a, q, k, v, seq, starts))
}
