package fuse

import (
	"slices"
	"testing"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// TestGroup puts products of one input together, as far as a device says that it can.
func TestGroup(t *testing.T) {
	const k = 32
	weight := func(g *ops.Graph, name string, rows int) ops.Value {
		return g.Weight(tensor.Tensor{Name: name, DType: tensor.F32, Shape: tensor.Shape{rows, k}})
	}
	record := func() (*ops.Graph, []ops.Value) {
		g := &ops.Graph{}
		x := g.Input("x", tensor.F32, 2, k)
		a := ops.SiLU(g, ops.MulMat(g, x, weight(g, "a", 3))) // read before the others are recorded
		b := ops.MulMat(g, x, weight(g, "b", 3))
		y := ops.Add(g, a, b)
		other := ops.MulMat(g, ops.SiLU(g, x), weight(g, "other", 5))
		c := ops.MulMat(g, x, weight(g, "c", 4))
		g.Exact = true
		d, e := ops.MulMat(g, x, weight(g, "d", 6)), ops.MulMat(g, x, weight(g, "e", 7))
		return g, []ops.Value{c, y, other, d, e}
	}
	for _, c := range []struct {
		name     string
		supports func(*ops.Node) bool
		want     string
	}{
		{"all", func(*ops.Node) bool { return true }, "mul_mat_group3 silu add silu mul_mat mul_mat_group2"},
		{"two", func(n *ops.Node) bool { return len(n.In) == 3 },
			"mul_mat_group2 silu add silu mul_mat mul_mat mul_mat_group2"},
		{"none", func(*ops.Node) bool { return false },
			"mul_mat silu mul_mat add silu mul_mat mul_mat mul_mat mul_mat"},
		{"weights of four rows with others", func(n *ops.Node) bool {
			return !ops.Exact(n) && slices.ContainsFunc(n.In, func(v ops.Value) bool { return v.Shape()[0] == 4 })
		}, "mul_mat_group2 silu mul_mat add silu mul_mat mul_mat mul_mat"},
	} {
		g, outs := record()
		before := names(g)
		to, mapped, err := Group(g, outs, c.supports)
		if err != nil {
			t.Fatal(err)
		}
		if got := names(to); got != c.want {
			t.Errorf("%s: ops are %q, want %q", c.name, got, c.want)
		}
		if names(g) != before {
			t.Errorf("%s: grouping changed the graph itself: %q", c.name, names(g))
		}
		for i, o := range outs {
			if a, b := o.Type(), mapped[i].Type(); !a.Shape.Equal(b.Shape) {
				t.Errorf("%s: output %d was %v, is %v", c.name, i, a, b)
			}
		}
		for i, n := range to.Nodes {
			for _, v := range n.In {
				if v.Node().ID >= i || to.Nodes[v.Node().ID] != v.Node() {
					t.Errorf("%s: %v reads %v, which is not before it", c.name, n, v.Node())
				}
			}
			if ops.MulMatGroupOp(len(n.In)-1) != n.Op || n.Op == nil {
				continue
			}
			if ops.Exact(n) != (n.In[1].Node().Name == "d") {
				t.Errorf("%s: exact is %v for products with %s", c.name, ops.Exact(n), n.In[1].Node().Name)
			}
		}
		if d := mapped[3]; c.name == "all" && d.Node().In[1+d.Index()].Node().Name != "d" {
			t.Errorf("an output is the product with %s, not d", d.Node().In[1+d.Index()].Node().Name)
		}
	}
}

// TestGroupState leaves products with a state alone, which may be updated between them.
func TestGroupState(t *testing.T) {
	g := &ops.Graph{}
	x := g.State(tensor.Tensor{Name: "x", DType: tensor.F32, Shape: tensor.Shape{1, 4}})
	w := g.Weight(tensor.Tensor{Name: "w", DType: tensor.F32, Shape: tensor.Shape{3, 4}})
	to, _, err := Group(g, []ops.Value{ops.MulMat(g, x, w), ops.MulMat(g, x, w)}, func(*ops.Node) bool { return true })
	if err != nil || names(to) != "mul_mat mul_mat" {
		t.Errorf("ops are %q, %v", names(to), err)
	}
}
