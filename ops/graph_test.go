package ops

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/tensor"
	_ "github.com/hipengine/hipengine/tensor/quant" // weight types for the cases
)

// fakeDevice supports the ops that it is told.
type fakeDevice struct {
	Device
	has []*Def
}

func (d fakeDevice) Supports(n *Node) bool { return slices.Contains(d.has, n.Op) }
func (d fakeDevice) Info() Info            { return Info{Name: "fake"} }

func TestFirstErrorSticks(t *testing.T) {
	g := &Graph{}
	x, y := g.Input("x", tensor.F32, 2, 3), g.Input("y", tensor.F32, 2, 4)
	z := SiLU(g, Mul(g, x, y))
	w := RMSNorm(g, z, x, 1e-6)
	if g.Err() == nil || z.Valid() || w.Valid() {
		t.Fatalf("err = %v, z = %v, w = %v", g.Err(), z, w)
	}
	for _, want := range []string{"graph_test.go:", "mul(F32[2 3], F32[2 4])", "does not end shape"} {
		if !strings.Contains(g.Err().Error(), want) {
			t.Errorf("error %q lacks %q", g.Err(), want)
		}
	}
	if _, _, err := Lower(g, fakeDevice{}, z); err == nil {
		t.Error("a broken recording was lowered")
	}
}

func TestInferRejects(t *testing.T) {
	state := func(g *Graph, dt tensor.DType, s ...int) Value {
		return g.State(tensor.Tensor{Name: "s", DType: dt, Shape: s})
	}
	f := func(g *Graph, s ...int) Value { return g.Input("f", tensor.F32, s...) }
	i := func(g *Graph, s ...int) Value { return g.Input("i", tensor.I32, s...) }
	for _, c := range []struct {
		name, want string
		record     func(g *Graph)
	}{
		{"rms weight", "want F32[4]", func(g *Graph) { RMSNorm(g, f(g, 2, 4), f(g, 3), 1) }},
		{"mul_mat rows", "rows of 8 elements", func(g *Graph) { MulMat(g, f(g, 2, 8), f(g, 4, 4)) }},
		{"ids are floats", "want I32", func(g *Graph) { Embed(g, f(g, 4, 4), f(g, 2)) }},
		{"reshape", "has 6 elements", func(g *Graph) { Reshape(g, f(g, 2, 4), 2, 3) }},
		{"reshape rank", "at most 4", func(g *Graph) { Reshape(g, f(g, 2, 4), 1, 1, 1, 1, 8) }},
		{"slice", "range [3,9)", func(g *Graph) { Slice(g, f(g, 2, 8), 3, 9) }},
		{"rope odd", "rotated", func(g *Graph) { RoPE(g, f(g, 2, 1, 8), i(g, 2), f(g, 1), RoPEAttrs{NRot: 3}) }},
		{"append to an input", "not a state", func(g *Graph) {
			KVAppend(g, f(g, 1, 8, 1, 4), f(g, 2, 1, 4), i(g, 2), i(g, 2), i(g, 1, 1))
		}},
		{"heads", "not a multiple", func(g *Graph) {
			s := state(g, tensor.F32, 1, 8, 2, 4)
			Attention(g, f(g, 2, 3, 4), s, s, i(g, 2), i(g, 2), i(g, 1, 1), Value{}, AttentionAttrs{Scale: 1})
		}},
		{"conv", "do not fit", func(g *Graph) {
			CausalConv(g, f(g, 2, 4), state(g, tensor.F32, 1, 2, 4), f(g, 4, 4),
				i(g, 2), i(g, 1))
		}},
		{"experts", "of 2 experts", func(g *Graph) { Route(g, f(g, 3, 2), Value{}, RouteAttrs{K: 3}) }},
		{"zero value", "is not a value", func(g *Graph) { SiLU(g, Value{}) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := &Graph{}
			c.record(g)
			if g.Err() == nil || !strings.Contains(g.Err().Error(), c.want) {
				t.Errorf("err = %v, want %q in it", g.Err(), c.want)
			}
		})
	}
}

func TestLowerExpands(t *testing.T) {
	g := &Graph{}
	x := g.Input("x", tensor.F32, 2, 3)
	y := SwiGLU(g, x, x)
	lg, outs, err := Lower(g, fakeDevice{has: []*Def{MulOp, SiLUOp}}, y)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, n := range lg.Nodes[1:] {
		names = append(names, n.Op.Name)
		if !strings.Contains(n.Pos.String(), "graph_test.go:") {
			t.Errorf("%s recorded at %s, want the position of the fused op", n.Op.Name, n.Pos)
		}
	}
	if !slices.Equal(names, []string{"silu", "mul"}) || outs[0].Node().Op != MulOp {
		t.Errorf("lowered to %v", names)
	}
	if lg, _, err = Lower(g, fakeDevice{has: []*Def{SwiGLUOp}}, y); err != nil || len(lg.Nodes) != 2 {
		t.Errorf("a supported op was expanded: %v", err)
	}
}

func TestLowerUnsupported(t *testing.T) {
	g := &Graph{}
	x := g.Input("x", tensor.F32, 2, 3)
	_, _, err := Lower(g, fakeDevice{has: []*Def{MulOp}}, SwiGLU(g, x, x))
	if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "silu(F32[2 3]) on fake") {
		t.Errorf("err = %v", err)
	}
}

func TestLowerDropsDeadNodesButNotUpdates(t *testing.T) {
	g := &Graph{}
	x := g.Input("x", tensor.F32, 2, 1, 4)
	idx, pages := g.Input("idx", tensor.I32, 2), g.Input("pages", tensor.I32, 1, 1)
	KVAppend(g, g.State(tensor.Tensor{Name: "k", DType: tensor.F32, Shape: tensor.Shape{1, 8, 1, 4}}), x, idx, idx,
		pages)
	SiLU(g, x)
	y := Sigmoid(g, x)
	lg, _, err := Lower(g, fakeDevice{has: []*Def{KVAppendOp, SiLUOp, SigmoidOp}}, y)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, n := range lg.Nodes {
		if n.Op != nil {
			names = append(names, n.Op.Name)
		}
	}
	if !slices.Equal(names, []string{"kv_append", "sigmoid"}) {
		t.Errorf("kept %v", names)
	}
}

// TestCasesInfer records every case of every op: cases that the op's own rules reject would test nothing.
func TestCasesInfer(t *testing.T) {
	for _, d := range Defs() {
		if d.Cases == nil {
			t.Errorf("%s has no conformance cases", d.Name)
			continue
		}
		names := map[string]bool{}
		for _, c := range d.Cases() {
			if names[c.Name] {
				t.Errorf("%s: two cases are called %q", d.Name, c.Name)
			}
			names[c.Name] = true
			g := &Graph{}
			var in []Value
			for _, a := range c.Args {
				if a.DType == tensor.I32 && len(a.Ints) != a.Shape.Elems() {
					t.Errorf("%s/%s: %d integers for %v", d.Name, c.Name, len(a.Ints), a.Shape)
				}
				tt := tensor.Tensor{DType: a.DType, Shape: a.Shape}
				switch a.Leaf {
				case Weight:
					in = append(in, g.Weight(tt))
				case State:
					in = append(in, g.State(tt))
				default:
					in = append(in, g.Input("in", a.DType, a.Shape...))
				}
			}
			g.Add(d, c.Attrs, in...)
			if g.Err() != nil {
				t.Errorf("case %s: %v", c.Name, g.Err())
			}
		}
	}
}

// Operands of cases are inputs unless they say otherwise, whoever declares the op.
func TestCasesDefaultToInputs(t *testing.T) {
	defer func(d []*Def) { defs = d }(defs)
	d := Register(&Def{Name: "default_leaf", Cases: func() []Case {
		return []Case{{Args: []Arg{{}, {Leaf: Weight}, {Leaf: State}}}}
	}})
	for i, want := range []Leaf{Input, Weight, State} {
		if got := d.Cases()[0].Args[i].Leaf; got != want {
			t.Errorf("operand %d is leaf %d, want %d", i, got, want)
		}
	}
}
