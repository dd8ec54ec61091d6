package fuse

import (
	"testing"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// TestRMSNormRoPE fuses queries and keys, each with a norm of its own.
func TestRMSNormRoPE(t *testing.T) {
	fusedBack(t, ops.RMSNormRoPEOp)
	defs := []*ops.Def{ops.RMSNormRoPEOp}
	record := func() (*ops.Graph, func(name string, heads int) (normed, rotated ops.Value)) {
		g := &ops.Graph{}
		pos, freqs := g.Input("pos", tensor.I32, 3), g.Input("freqs", tensor.F32, 8)
		return g, func(name string, heads int) (normed, rotated ops.Value) {
			x := ops.Reshape(g, g.Input(name, tensor.F32, 3, heads*32), 3, heads, 32)
			normed = ops.RMSNorm(g, x, g.Input(name+"_norm", tensor.F32, 32), 1e-6)
			return normed, ops.RoPE(g, normed, pos, freqs,
				ops.RoPEAttrs{NRot: 16, Pairing: ops.Interleaved, MScale: 1.5})
		}
	}
	g, rotate := record()
	_, q := rotate("q", 4)
	_, k := rotate("k", 2)
	outs := wants(t, "reshape rms_norm_rope reshape rms_norm_rope", g, defs, q, k)
	want := ops.RMSNormRoPEAttrs{Norm: ops.NormAttrs{Eps: 1e-6},
		RoPE: ops.RoPEAttrs{NRot: 16, Pairing: ops.Interleaved, MScale: 1.5}}
	for i, name := range []string{"q_norm", "k_norm"} {
		if n := outs[i].Node(); n.Attrs != want || n.In[1].Node().Name != name {
			t.Errorf("%v with %s, want %+v", n, n.In[1].Node().Name, want)
		}
	}
	g, rotate = record()
	normed, q := rotate("q", 4)
	wants(t, "reshape rms_norm rope", g, defs, q, normed) // which Expand does not return
}
