package fuse

import (
	"testing"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// TestGatedRMSNorm fuses the end of a linear attention, whatever the order in which its halves were recorded.
func TestGatedRMSNorm(t *testing.T) {
	fusedBack(t, ops.GatedRMSNormOp)
	defs := []*ops.Def{ops.GatedRMSNormOp, ops.AddRMSNormOp}
	g := &ops.Graph{}
	x, z, w := g.Input("x", tensor.F32, 3, 4, 32), g.Input("z", tensor.F32, 3, 4, 32), g.Input("w", tensor.F32, 32)
	gate := ops.SiLU(g, z)
	y := ops.Mul(g, ops.RMSNorm(g, ops.Add(g, x, z), w, 1e-6), gate)
	wants(t, "add gated_rms_norm", g, defs, y) // the first op of the list takes the norm

	g = &ops.Graph{}
	x, z, w = g.Input("x", tensor.F32, 3, 4, 32), g.Input("z", tensor.F32, 3, 4, 32), g.Input("w", tensor.F32, 32)
	gate = ops.SiLU(g, z)
	wants(t, "silu rms_norm mul", g, defs, ops.Mul(g, ops.RMSNorm(g, x, w, 1e-6), gate), gate) // the gate is wanted
}
