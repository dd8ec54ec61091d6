package fuse

import (
	"testing"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// layer records a block of a decoder from its gated network on, and the norm of the next block.
func layer(g *ops.Graph, k int, act func(g *ops.Graph, gate, up ops.Value) ops.Value) (sum, normed ops.Value) {
	weight := func(name string) ops.Value {
		return g.Weight(tensor.Tensor{Name: name, DType: tensor.F32, Shape: tensor.Shape{k, k}})
	}
	x, h, w := g.Input("x", tensor.F32, 2, k), g.Input("h", tensor.F32, 2, k), g.Input("w", tensor.F32, k)
	y := ops.MulMat(g, act(g, ops.MulMat(g, x, weight("gate")), ops.MulMat(g, x, weight("up"))), weight("down"))
	sum = ops.Add(g, h, y)
	return sum, ops.RMSNorm(g, sum, w, 1e-5)
}

// TestMulMat fuses what surrounds the products of a block, exact or not.
func TestMulMat(t *testing.T) {
	defs := []*ops.Def{ops.MulMatSwiGLUOp, ops.MulMatGeGLUOp, ops.AddRMSNormOp, ops.MulMatAddRMSNormOp}
	for _, d := range []*ops.Def{ops.MulMatSwiGLUOp, ops.MulMatGeGLUOp} {
		fusedBack(t, d)
	}
	for _, exact := range []bool{false, true} {
		g := &ops.Graph{Exact: exact}
		sum, normed := layer(g, 8, ops.SwiGLU)
		outs := wants(t, "mul_mat_swiglu mul_mat_add_rms_norm", g, defs, sum, normed)
		n := outs[0].Node()
		if a := n.Attrs.(ops.MulMatNormAttrs); a.MulMat.Exact != exact || a.Norm.Eps != 1e-5 ||
			!ops.Exact(n) == exact {
			t.Errorf("attributes are %+v", a)
		}
		if outs[0].Index() != 0 || outs[1].Index() != 1 || n.In[2].Node().Name != "h" ||
			n.In[1].Node().Name != "down" {
			t.Errorf("results %d and %d of %v", outs[0].Index(), outs[1].Index(), n)
		}
		glu := n.In[0].Node()
		if ops.Exact(glu) != exact || glu.In[1].Node().Name != "gate" || glu.In[2].Node().Name != "up" {
			t.Errorf("exact is %v for %v", ops.Exact(glu), glu)
		}
	}
	g := &ops.Graph{}
	sum, normed := layer(g, 8, ops.GeGLU)
	wants(t, "mul_mat_geglu mul_mat_add_rms_norm", g, defs, sum, normed)

	// Somebody else reads a product.
	g = &ops.Graph{}
	var gate ops.Value
	sum, normed = layer(g, 8, func(g *ops.Graph, a, b ops.Value) ops.Value {
		gate = a
		return ops.SwiGLU(g, a, b)
	})
	wants(t, "mul_mat mul_mat swiglu mul_mat_add_rms_norm", g, defs, sum, normed, gate)

	// One product is exact, the other not.
	g = &ops.Graph{}
	sum, normed = layer(g, 8, func(g *ops.Graph, a, b ops.Value) ops.Value {
		b.Node().Attrs = ops.MulMatAttrs{Exact: true}
		return ops.SwiGLU(g, a, b)
	})
	wants(t, "mul_mat mul_mat swiglu mul_mat_add_rms_norm", g, defs, sum, normed)
}
