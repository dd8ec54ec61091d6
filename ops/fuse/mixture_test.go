package fuse

import (
	"testing"

	"github.com/hipengine/hipengine/ops"
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
				y := ops.MixtureOp.Expand(g, append(in[:5:5], bias...), ops.MixtureAttrs{MulMat: ops.MulMatAttrs{Exact: exact}, Route: a.Route})[0]
				z := ops.MulMat(g, ops.SwiGLU(g, ops.MulMat(g, x, in[5]), ops.MulMat(g, x, in[6])), in[7])
				s := z.Shape()
				factor := ops.Sigmoid(g, ops.MulMat(g, x, in[8]))
				return g, ops.Add(g, y, ops.WeightedSum(g, ops.Reshape(g, z, s[0], 1, s[1]), factor)), z
			}
			g, y, z := record()
			n := wants(t, "shared_mixture", g, defs, y)[0].Node()
			if n.Attrs != (ops.MixtureAttrs{MulMat: ops.MulMatAttrs{Exact: exact}, Route: a.Route}) || ops.Exact(n) != exact {
				t.Errorf("%s: attributes are %+v", c.Name, n.Attrs)
			}
			wants(t, "mixture mul_mat mul_mat swiglu mul_mat mul_mat sigmoid reshape weighted_sum add", g, defs, y, z)
		}
	}
}
