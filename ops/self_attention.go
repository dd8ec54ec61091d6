package ops

import (
	"fmt"
	"slices"

	"github.com/hipengine/hipengine/tensor"
)

// SelfAttentionAttrs are the attributes of [SelfAttentionOp]: those of its parts.
type SelfAttentionAttrs struct {
	Norm      NormAttrs // of queries and keys; Eps is 0 if they are not normalized
	RoPE      RoPEAttrs // NRot is 0 if they are not rotated
	Attention AttentionAttrs
}

// SelfAttentionOp is what lies between the products of an attention layer: queries and keys are normalized and
// rotated, keys and values stored, then attention, of which a gate lets a part pass.
var SelfAttentionOp = Register(&Def{
	Name:    "self_attention",
	Results: 3,
	InPlace: map[int]int{1: 6, 2: 7},
	Infer: func(n *Node) error {
		a := n.Attrs.(SelfAttentionAttrs)
		want := 8
		if a.Norm.Eps > 0 {
			want += 2
		}
		if a.RoPE.NRot > 0 {
			want++
		}
		if len(n.In) != want && len(n.In) != want+1 {
			return fmt.Errorf("%d inputs, want %d or %d", len(n.In), want, want+1)
		}
		for i, name := range []string{"q", "k", "v"} {
			if err := is(n.In[i], name, tensor.F32, 3); err != nil {
				return err
			}
		}
		q, k := n.In[0].Shape(), n.In[1].Shape()
		if q[0] != k[0] || q[2] != k[2] && q[2] != 2*k[2] {
			return fmt.Errorf("q %v does not fit k %v", q, k)
		}
		for _, i := range []int{6, 7} { // before attention sees them
			if err := is(n.In[i], "cache", n.In[i].DType(), 4); err != nil {
				return err
			}
		}
		// The parts check the rest.
		g := &Graph{}
		in := make([]Value, len(n.In))
		for i, v := range n.In {
			leaf := Input
			if i == 6 || i == 7 {
				leaf = State
			}
			in[i] = g.leaf(&Node{Leaf: leaf, Name: fmt.Sprint("in", i), Out: []Type{v.Type()}})
		}
		outs := n.Op.Expand(g, in, a)
		if g.err != nil {
			return g.err
		}
		n.Out = nil
		for _, v := range outs {
			n.Out = append(n.Out, v.Type())
		}
		return nil
	},
	Expand: func(g *Graph, in []Value, attrs any) []Value {
		a := attrs.(SelfAttentionAttrs)
		q, k, v, pos, seq, pages, rest := in[0], in[1], in[2], in[3], in[4], in[5], in[8:]
		var gate, sinks Value
		if dim := k.Shape()[2]; q.Shape()[2] == 2*dim {
			q, gate = Slice(g, q, 0, dim), Slice(g, q, dim, 2*dim)
		}
		if a.Norm.Eps > 0 {
			q, k, rest = RMSNorm(g, q, rest[0], a.Norm.Eps), RMSNorm(g, k, rest[1], a.Norm.Eps), rest[2:]
		}
		if a.RoPE.NRot > 0 {
			q, k, rest = RoPE(g, q, pos, rest[0], a.RoPE), RoPE(g, k, pos, rest[0], a.RoPE), rest[1:]
		}
		if len(rest) > 0 {
			sinks = rest[0]
		}
		k, v = KVAppend(g, in[6], k, pos, seq, pages), KVAppend(g, in[7], v, pos, seq, pages)
		o := Attention(g, q, k, v, pos, seq, pages, sinks, a.Attention)
		if gate.Valid() {
			o = Mul(g, o, Sigmoid(g, gate))
		}
		return []Value{o, k, v}
	},
	Cases: func() []Case {
		// The largest first: smaller ones are parts of them.
		var cs []Case
		types := append([]tensor.DType{tensor.F16}, tensor.CacheTypes()...)
		for i := range 16 + len(types) {
			gated, norm, rope, sinks := i&8 == 0, i&4 == 0, i&2 == 0, i&1 == 0
			dt, pairing := types[i%len(types)], Pairing(i>>2&1)
			if i >= 16 { // all types with the other pairing
				dt, rope, pairing = types[i-16], true, Interleaved
			}
			page, heads, kv, dim := 32, 4, 2, 64
			b := layout(page, span{70, 1}, span{0, 3}, span{31, 2}).padded(1)
			a := SelfAttentionAttrs{Attention: AttentionAttrs{Scale: 0.125}}
			width := dim
			if gated {
				width *= 2
			}
			c := Case{Name: fmt.Sprintf("%v/gated=%v/norm=%v/rope=%v-%v/sinks=%v/%d", dt, gated, norm, rope, pairing,
				sinks, i), Args: []Arg{
				f32(b.tokens, heads, width), f32(b.tokens, kv, dim), f32(b.tokens, kv, dim), i32(b.pos), i32(b.seq),
				b.pageTable(),
				{Leaf: State, DType: dt, Shape: tensor.Shape{b.totalPages, page, kv, dim}},
				{Leaf: State, DType: dt, Shape: tensor.Shape{b.totalPages, page, kv, dim}}}}
			if norm {
				a.Norm.Eps = 1e-6
				c.Args = append(c.Args, f32(dim), f32(dim))
			}
			if rope {
				a.RoPE = RoPEAttrs{NRot: []int{dim, dim / 2}[i>>1&1], Pairing: pairing, MScale: 1}
				freqs := f32(a.RoPE.NRot / 2)
				freqs.Gen = between(0, 1)
				c.Args = append(c.Args, freqs)
			}
			if sinks {
				c.Args = append(c.Args, f32(heads))
				a.Attention.Window = 40
			}
			c.Attrs = a
			cs = append(cs, c)
		}
		return cs
	},
	Work: func(n *Node) (flop, bytes int64) {
		q := slices.Clone(n.In[0].Shape())
		q[2] = n.In[1].Shape()[2]
		leaf := &Node{Leaf: Input, Out: []Type{{tensor.F32, q}}}
		return AttentionOp.Work(&Node{Op: AttentionOp,
			In: []Value{{node: leaf}, n.In[6], n.In[7], n.In[3], n.In[4], n.In[5]}})
	},
})

// SelfAttention returns [Attention] of queries over a cache to which it adds keys and values first ([KVAppend]), and
// the updated cache of keys and that of values. Where a.Norm.Eps > 0, queries and keys are normalized with the
// weights qNorm and kNorm ([RMSNorm]), and then, where a.RoPE.NRot > 0, rotated by freqs ([RoPE]). q: F32 [tokens,
// heads, head dim], or twice the head dim: the second half is then a gate, by the sigmoid of which the result is
// multiplied. k, v: F32 [tokens, KV heads, head dim]. pos, seq, pages, kCache, vCache and sinks are those of
// [Attention]; values that a does not ask for are ignored.
func SelfAttention(g *Graph, q, k, v, pos, seq, pages, kCache, vCache, qNorm, kNorm, freqs, sinks Value,
	a SelfAttentionAttrs) (o, keys, values Value) {
	in := []Value{q, k, v, pos, seq, pages, kCache, vCache}
	if a.Norm.Eps > 0 {
		in = append(in, qNorm, kNorm)
	}
	if a.RoPE.NRot > 0 {
		in = append(in, freqs)
	}
	if sinks.Valid() {
		in = append(in, sinks)
	}
	r := g.Add(SelfAttentionOp, a, in...)
	return r[0], r[1], r[2]
}
