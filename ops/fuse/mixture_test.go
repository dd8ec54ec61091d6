package fuse

import (
	"testing"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// TestMixture fuses a mixture from its router on, and the expert that serves every token with it; the mixture alone if
// somebody reads what the latter makes.
func TestMixture(t *testing.T) {
	defs := []*ops.Def{ops.MixtureOp, ops.SharedMixtureOp}
	fusedBack(t, ops.MixtureOp)
	fusedBack(t, ops.SharedMixtureOp)
	for _, exact := range []bool{false, true} {
		for _, c := range ops.SharedMixtureOp.Cases() {
			a := c.Attrs.(ops.MixtureAttrs)
			record := func() (*ops.Graph, ops.Value, ops.Value) {
				g := &ops.Graph{Exact: exact}
				in := inputs(g, c)
				x, bias := in[0], in[9:]
				y := ops.MixtureOp.Expand(g, append(in[:5:5], bias...),
					ops.MixtureAttrs{MulMat: ops.MulMatAttrs{Exact: exact}, Route: a.Route})[0]
				z := ops.MulMat(g, ops.SwiGLU(g, ops.MulMat(g, x, in[5]), ops.MulMat(g, x, in[6])), in[7])
				s := z.Shape()
				factor := ops.Sigmoid(g, ops.MulMat(g, x, in[8]))
				return g, ops.Add(g, y, ops.WeightedSum(g, ops.Reshape(g, z, s[0], 1, s[1]), factor)), z
			}
			g, y, z := record()
			n := wants(t, "shared_mixture", g, defs, y)[0].Node()
			if n.Attrs != (ops.MixtureAttrs{MulMat: ops.MulMatAttrs{Exact: exact}, Route: a.Route}) ||
				ops.Exact(n) != exact {
				t.Errorf("%s: attributes are %+v", c.Name, n.Attrs)
			}
			wants(t, "mixture mul_mat mul_mat swiglu mul_mat mul_mat sigmoid reshape weighted_sum add", g, defs, y, z)
		}
	}
}

// TestMixtureAddRMSNorm fuses what follows a mixture at the end of a block with it.
func TestMixtureAddRMSNorm(t *testing.T) {
	fusedBack(t, ops.MixtureAddRMSNormOp)
	fusedBack(t, ops.SharedMixtureAddRMSNormOp)
	c := ops.SharedMixtureOp.Cases()[0]
	g := &ops.Graph{Exact: true}
	in := inputs(g, c)
	y := g.Add(ops.SharedMixtureOp, ops.MixtureAttrs{Route: c.Attrs.(ops.MixtureAttrs).Route}, in...)[0]
	s := y.Shape()
	sum := ops.Add(g, g.Input("h", tensor.F32, s...), y)
	normed := ops.RMSNorm(g, sum, g.Input("w", tensor.F32, s.Last()), 1e-5)
	defs := []*ops.Def{ops.AddRMSNormOp, ops.SharedMixtureAddRMSNormOp}
	wants(t, "shared_mixture_add_rms_norm", g, defs, sum, normed)
	wants(t, "shared_mixture add_rms_norm", g, defs, sum, normed, y)
}
