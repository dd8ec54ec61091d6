package fuse

import (
	"testing"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// TestSelfAttention fuses layers of attention as models record them: keys and values before queries, with products
// between.
func TestSelfAttention(t *testing.T) {
	fusedBack(t, ops.SelfAttentionOp)
	defs := []*ops.Def{ops.SelfAttentionOp}
	const tokens, heads, kv, dim = 3, 4, 2, 32
	attrs := ops.SelfAttentionAttrs{Norm: ops.NormAttrs{Eps: 1e-6},
		RoPE:      ops.RoPEAttrs{NRot: 16, Pairing: ops.NeoX, MScale: 1},
		Attention: ops.AttentionAttrs{Scale: 0.5}}
	// record has two layers; touch may read what a layer computes on the way.
	record := func(a ops.SelfAttentionAttrs, gated bool, touch func(g *ops.Graph, q, keys ops.Value)) (*ops.Graph,
		[]ops.Value) {
		g := &ops.Graph{}
		pos, seq, pages := g.Input("pos", tensor.I32, tokens), g.Input("seq", tensor.I32, tokens),
			g.Input("pages", tensor.I32, 1, 4)
		var outs []ops.Value
		x := g.Input("x", tensor.F32, tokens, heads*dim)
		for layer := range 2 {
			name := string(rune('a' + layer))
			weight := func(n string, shape ...int) ops.Value {
				return g.Weight(tensor.Tensor{Name: name + n, DType: tensor.F32, Shape: shape})
			}
			head := func(v, w ops.Value) ops.Value {
				if a.Norm.Eps > 0 {
					v = ops.RMSNorm(g, v, w, a.Norm.Eps)
				}
				if a.RoPE.NRot > 0 {
					// Models declare the table anew for queries and for keys.
					v = ops.RoPE(g, v, pos, g.Weight(tensor.Tensor{Name: "freqs", DType: tensor.F32,
						Shape: tensor.Shape{8}}), a.RoPE)
				}
				return v
			}
			state := func(n string) ops.Value {
				return g.State(tensor.Tensor{Name: name + n, DType: tensor.F16, Shape: tensor.Shape{4, 8, kv, dim}})
			}
			k := head(ops.Reshape(g, ops.MulMat(g, x, weight("k", kv*dim, heads*dim)), tokens, kv, dim),
				weight("kn", dim))
			v := ops.Reshape(g, ops.MulMat(g, x, weight("v", kv*dim, heads*dim)), tokens, kv, dim)
			k, v = ops.KVAppend(g, state("ks"), k, pos, seq, pages), ops.KVAppend(g, state("vs"), v, pos, seq, pages)
			width := dim
			if gated {
				width *= 2
			}
			q := ops.Reshape(g, ops.MulMat(g, x, weight("q", heads*width, heads*dim)), tokens, heads, width)
			var gate ops.Value
			if gated {
				q, gate = ops.Slice(g, q, 0, dim), ops.Slice(g, q, dim, 2*dim)
			}
			q = head(q, weight("qn", dim))
			if touch != nil {
				touch(g, q, k)
			}
			o := ops.Attention(g, q, k, v, pos, seq, pages, ops.Value{}, a.Attention)
			if gated {
				o = ops.Mul(g, o, ops.Sigmoid(g, gate))
			}
			x = ops.Reshape(g, o, tokens, heads*dim)
			outs = append(outs, k, v)
		}
		return g, append(outs, x)
	}
	plain := attrs
	plain.Norm.Eps = 0
	bare := plain
	bare.RoPE = ops.RoPEAttrs{}
	const layer = "mul_mat reshape mul_mat reshape mul_mat reshape self_attention reshape"
	for _, gated := range []bool{false, true} {
		for _, a := range []ops.SelfAttentionAttrs{attrs, plain, bare} {
			g, outs := record(a, gated, nil)
			to := wants(t, layer+" "+layer, g, defs, outs...)
			for i, name := range []string{"aks", "avs", "bks", "bvs"} {
				n := to[i].Node()
				if n.Op != ops.SelfAttentionOp || n.Attrs != a || to[i].Index() != i%2+1 ||
					ops.Root(to[i]).Name != name {
					t.Errorf("gated %v: %v of %+v, result %d, root %v; want %+v", gated, n, n.Attrs, to[i].Index(),
						ops.Root(to[i]), a)
				}
			}
		}
	}
	// Norms that differ are not what the op does, nor are queries that somebody else reads: it begins behind them.
	g, outs := record(attrs, false, nil)
	for _, n := range g.Nodes {
		if n.Op == ops.RMSNormOp && n.In[1].Node().Name == "bkn" {
			n.Attrs = ops.NormAttrs{Eps: 1e-3}
		}
	}
	unnormed := "mul_mat reshape rms_norm mul_mat reshape mul_mat reshape rms_norm self_attention reshape"
	unrotated := "mul_mat reshape rms_norm rope mul_mat reshape mul_mat reshape rms_norm rope self_attention reshape"
	wants(t, layer+" "+unnormed, g, defs, outs...)
	var read []ops.Value
	g, outs = record(attrs, false, func(_ *ops.Graph, q, _ ops.Value) { read = append(read, q) })
	wants(t, unrotated+" "+layer, g, defs, append(outs, read[0])...)
}
