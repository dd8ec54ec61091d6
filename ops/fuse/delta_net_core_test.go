package fuse

import (
	"testing"

	"github.com/hipengine/hipengine/ops"
)

// TestDeltaNetCore fuses all between the projections of a DeltaNet layer, whose norm and gate are fused before, and
// nothing if a part of it is wanted by itself.
func TestDeltaNetCore(t *testing.T) {
	fusedBack(t, ops.DeltaNetCoreOp)
	record := func() (*ops.Graph, []ops.Value) {
		g, c := &ops.Graph{}, ops.DeltaNetCoreOp.Cases()[0]
		in := inputs(g, c)
		outs := ops.DeltaNetCoreOp.Expand(g, in, c.Attrs)
		y := outs[0].Node()
		norm := ops.Mul(g, ops.RMSNorm(g, y.In[0], y.In[1], 1e-4), ops.SiLU(g, y.In[2]))
		return g, append([]ops.Value{norm}, outs[1:]...)
	}
	defs := []*ops.Def{ops.GatedRMSNormOp, ops.DeltaNetCoreOp}
	g, outs := record()
	wants(t, "delta_net_core", g, defs, outs...)
	wants(t, "delta_net_core", g, defs, outs[0]) // states are updated, whether or not they are wanted
	for _, n := range g.Nodes {
		if n.Op != nil && n.Op.Name == "softplus" {
			wants(t, "causal_conv silu slice reshape l2_norm slice reshape l2_norm slice reshape sigmoid add softplus mul gated_delta_net gated_rms_norm",
				g, defs, append(outs, n.Result(0))...)
		}
	}
}
