package fuse

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// names lists the ops of a graph in order.
func names(g *ops.Graph) string {
	var all []string
	for _, n := range g.Nodes {
		if n.Op != nil {
			all = append(all, n.Op.Name)
		}
	}
	return strings.Join(all, " ")
}

// wants fails unless rewriting g for defs leaves the ops of want, in order. It returns what outs have become.
func wants(t *testing.T, want string, g *ops.Graph, defs []*ops.Def, outs ...ops.Value) []ops.Value {
	t.Helper()
	before := names(g)
	to, mapped, err := Rewrite(g, defs, outs)
	if err != nil {
		t.Fatal(err)
	}
	if got := names(to); got != want {
		t.Errorf("ops are %q, want %q", got, want)
	}
	if names(g) != before {
		t.Errorf("rewriting changed the graph itself: %q", names(g))
	}
	for i, o := range outs {
		if a, b := o.Type(), mapped[i].Type(); a.DType != b.DType || !a.Shape.Equal(b.Shape) {
			t.Errorf("output %d was %v, is %v", i, a, b)
		}
		if n := mapped[i].Node(); n.Op != nil && n.Pos != (ops.Pos{}) && !strings.Contains(n.Pos.String(), "_test.go") {
			t.Errorf("output %d seems to be recorded at %s", i, n.Pos)
		}
	}
	for i, n := range to.Nodes {
		if n.ID != i {
			t.Errorf("node %d has number %d", i, n.ID)
		}
	}
	return mapped
}

// inputs records the arguments of a case.
func inputs(g *ops.Graph, c ops.Case) []ops.Value {
	var in []ops.Value
	for i, a := range c.Args {
		name := fmt.Sprintf("arg%d", i)
		if a.Leaf == ops.State {
			in = append(in, g.State(tensor.Tensor{Name: name, DType: a.DType, Shape: a.Shape}))
			continue
		}
		in = append(in, g.Input(name, a.DType, a.Shape...))
	}
	return in
}

// fusedBack checks that each case of d, recorded as d expands, becomes d again: same operands, attributes and results.
func fusedBack(t *testing.T, d *ops.Def) {
	t.Helper()
	for _, c := range d.Cases() {
		g := &ops.Graph{}
		in := inputs(g, c)
		outs := wants(t, d.Name, g, []*ops.Def{d}, d.Expand(g, in, c.Attrs)...)
		n := outs[0].Node()
		if n.Op != d || n.Attrs != c.Attrs {
			t.Errorf("%s: attributes are %+v, want %+v", c.Name, n.Attrs, c.Attrs)
		}
		for i, v := range n.In {
			if v.Node().Name != in[i].Node().Name {
				t.Errorf("%s: operand %d is %s", c.Name, i, v.Node().Name)
			}
		}
		for i, o := range outs {
			if o.Index() != i {
				t.Errorf("%s: output %d is result %d", c.Name, i, o.Index())
			}
		}
	}
}

// TestElementwise reads expansions backwards that no device asks for so far.
func TestElementwise(t *testing.T) {
	fusedBack(t, ops.SwiGLUOp)
	fusedBack(t, ops.GeGLUOp)
}

// convSiLU is an op of a program outside this module: a convolution that updates a state, and its activation.
var convSiLU = &ops.Def{
	Name: "conv_silu", Results: 2, InPlace: map[int]int{1: 1},
	Infer: ops.CausalConvOp.Infer,
	Expand: func(g *ops.Graph, in []ops.Value, _ any) []ops.Value {
		y, s := ops.CausalConv(g, in[0], in[1], in[2], in[3], in[4])
		return []ops.Value{ops.SiLU(g, y), s}
	},
	Cases: ops.CausalConvOp.Cases,
}

// TestForeignOp fuses an op that is not registered, whose parts update a state.
func TestForeignOp(t *testing.T) {
	fusedBack(t, convSiLU)
	// Another update of the state before the last part: what the fused op reads would be newer.
	c := ops.CausalConvOp.Cases()[1]
	g := &ops.Graph{}
	in := inputs(g, c)
	y, s := ops.CausalConv(g, in[0], in[1], in[2], in[3], in[4])
	ops.CausalConv(g, in[0], s, in[2], in[3], in[4])
	wants(t, "causal_conv causal_conv silu", g, []*ops.Def{convSiLU}, ops.SiLU(g, y))
}

// doubled expands to a node whose attributes are a constant.
var doubled = &ops.Def{
	Name:  "doubled_silu",
	Infer: ops.SiLUOp.Infer,
	Expand: func(g *ops.Graph, in []ops.Value, _ any) []ops.Value {
		return []ops.Value{ops.Scale(g, ops.SiLU(g, in[0]), 2)}
	},
	Cases: ops.SiLUOp.Cases,
}

// TestOnlyWhatExpands leaves graphs alone that are not what the op stands for.
func TestOnlyWhatExpands(t *testing.T) {
	fusedBack(t, doubled)
	defs := []*ops.Def{doubled}
	record := func() (*ops.Graph, ops.Value) {
		g := &ops.Graph{}
		return g, ops.SiLU(g, g.Input("x", tensor.F32, 3, 5))
	}
	g, y := record()
	wants(t, "silu scale", g, defs, ops.Scale(g, y, 3)) // another constant
	g, y = record()
	wants(t, "silu scale", g, defs, ops.Scale(g, y, 2), y) // the inner value is wanted
	g, y = record()
	wants(t, "silu scale add", g, defs, ops.Add(g, ops.Scale(g, y, 2), y)) // the inner value is read
	g, y = record()
	ops.Add(g, y, y) // by a node that nobody needs
	wants(t, "doubled_silu", g, defs, ops.Scale(g, y, 2))
	g, y = record()
	wants(t, "doubled_silu doubled_silu", g, defs, ops.Scale(g, ops.SiLU(g, ops.Scale(g, y, 2)), 2))
}

// TestResultReadBefore leaves a match alone if a result is read before its last part is computed, since the fused op
// would have to be in two places.
func TestResultReadBefore(t *testing.T) {
	g := &ops.Graph{}
	x, w := g.Input("x", tensor.F32, 3, 8), g.Input("w", tensor.F32, 8)
	sum := ops.Add(g, x, x)
	z := ops.SiLU(g, sum)
	y := ops.RMSNorm(g, sum, w, 1e-6)
	wants(t, "add silu rms_norm", g, []*ops.Def{ops.AddRMSNormOp}, y, z)
}

// TestBadDefs covers ops that cannot be fused.
func TestBadDefs(t *testing.T) {
	two := *doubled
	two.Expand = func(g *ops.Graph, in []ops.Value, _ any) []ops.Value {
		ops.SiLU(g, in[0])
		return []ops.Value{ops.Scale(g, in[0], 2)}
	}
	failing := *doubled
	failing.Expand = func(g *ops.Graph, in []ops.Value, _ any) []ops.Value {
		return []ops.Value{ops.RMSNorm(g, in[0], in[0], 1)}
	}
	for want, d := range map[string]*ops.Def{"no expansion": ops.SiLUOp, "lead to the last": &two,
		"expanding doubled_silu": &failing} {
		g := &ops.Graph{}
		if _, _, err := Rewrite(g, []*ops.Def{d}, []ops.Value{g.Input("x", tensor.F32, 2)}); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want %q in it", err, want)
		}
	}
	g := &ops.Graph{}
	ops.SiLU(g, ops.Value{})
	if _, _, err := Rewrite(g, nil, nil); err == nil {
		t.Error("a graph with an error was rewritten")
	}
}

// TestPatterns checks that cases of one structure make one pattern.
func TestPatterns(t *testing.T) {
	for _, d := range []*ops.Def{ops.AddRMSNormOp, ops.RMSNormRoPEOp, ops.GatedRMSNormOp, convSiLU} {
		if ps, err := patterns(d); err != nil || len(ps) != 1 {
			t.Errorf("%s: %d patterns, %v", d.Name, len(ps), err)
		}
	}
	if !slices.Contains(ops.Defs(), ops.AddRMSNormOp) {
		t.Error("an op is not registered")
	}
}
