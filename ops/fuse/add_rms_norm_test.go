package fuse

import (
	"testing"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// TestAddRMSNorm fuses the residual stream of a decoder: the sums are read by the next block's end too.
func TestAddRMSNorm(t *testing.T) {
	fusedBack(t, ops.AddRMSNormOp)
	defs := []*ops.Def{ops.AddRMSNormOp}
	g := &ops.Graph{}
	const n = 64
	h, w := g.Input("x", tensor.F32, 3, n), g.Input("w", tensor.F32, n)
	norm := func() ops.Value { return ops.RMSNorm(g, h, w, 1e-5) }
	for range 2 {
		h = ops.Add(g, h, ops.SiLU(g, norm()))
		h = ops.Add(g, h, ops.GELU(g, norm()))
	}
	rows := ops.Rows(g, h, g.Input("rows", tensor.I32, 1))
	outs := wants(t, "rms_norm silu add_rms_norm gelu add_rms_norm silu add_rms_norm gelu add rows rms_norm", g, defs,
		ops.RMSNorm(g, rows, w, 1e-5), h)
	last := outs[1].Node() // the last sum, of the sum before and a block's result
	if in := last.In[0]; in.Node().Op != ops.AddRMSNormOp || in.Index() != 0 {
		t.Errorf("a block adds to %v, result %d", in.Node(), in.Index())
	}

	g = &ops.Graph{}
	x, w := g.Input("x", tensor.F32, 3, n), g.Input("w", tensor.F32, n)
	wants(t, "add rms_norm", g, defs, ops.RMSNorm(g, ops.Add(g, x, w), w, 1e-5)) // the op repeats no operand
	g = &ops.Graph{}
	x, w = g.Input("x", tensor.F32, 3, n), g.Input("w", tensor.F32, n)
	sum := ops.Add(g, x, x)
	// the sum in two norms
	wants(t, "add_rms_norm rms_norm", g, defs, ops.RMSNorm(g, sum, w, 1e-5), ops.RMSNorm(g, sum, w, 1e-6))
}
