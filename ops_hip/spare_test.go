package opship

import (
	"testing"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// TestSpares writes what products read in the form that they want, and as floats too only where somebody reads those,
// through a view or not. What nobody writes takes no memory.
func TestSpares(t *testing.T) {
	const k = 1 << 12
	product := func(g *ops.Graph, x ops.Value, dt tensor.DType) ops.Value {
		w := tensor.Tensor{Name: "w", DType: dt, Shape: tensor.Shape{32, k}}
		w.Layout = LayoutOf(ops.WeightUse{DType: w.DType, Shape: w.Shape})
		return ops.MulMat(g, x, g.Weight(w))
	}
	for _, c := range []struct {
		name   string
		spared bool
		outs   func(g *ops.Graph, x ops.Value) []ops.Value
	}{
		{"products", true, func(g *ops.Graph, x ops.Value) []ops.Value {
			return []ops.Value{product(g, x, quant.Q8_0), product(g, ops.Reshape(g, x, x.Shape()...), quant.Q4_K)}
		}},
		{"an output", false, func(g *ops.Graph,
			x ops.Value) []ops.Value {
			return []ops.Value{product(g, x, quant.Q8_0), x}
		}},
		{"a view of it", false, func(g *ops.Graph, x ops.Value) []ops.Value {
			return []ops.Value{product(g, x, quant.Q8_0), ops.Reshape(g, x, x.Shape().Elems())}
		}},
		{"an activation", false, func(g *ops.Graph, x ops.Value) []ops.Value {
			return []ops.Value{product(g, x, quant.Q8_0), ops.SiLU(g, ops.Reshape(g, x, x.Shape().Elems()))}
		}},
		{"a product of floats", false, func(g *ops.Graph, x ops.Value) []ops.Value {
			return []ops.Value{product(g, x, quant.Q8_0), product(g, x, tensor.F32)}
		}},
		{"another form", false, func(g *ops.Graph, x ops.Value) []ops.Value {
			if x.Shape()[0] <= vecTokens {
				return []ops.Value{product(g, x, quant.Q8_0), product(g, x, quant.TQ2_0)}
			}
			return []ops.Value{product(g, x, quant.Q8_0), product(g, x, tensor.BF16)}
		}},
	} {
		for _, tokens := range []int{1, 100} {
			g := &ops.Graph{}
			x := ops.RMSNorm(g, g.Input("x", tensor.F32, tokens, k), g.Input("norm", tensor.F32, k), 1e-6)
			l, err := planner("gfx1100").lower(g, c.outs(g, x))
			must(t, err)
			norm := l.steps[0]
			if norm.node.Op != ops.RMSNormOp || len(norm.node.Out) != 2 {
				t.Fatalf("%s: %d tokens: the first step is %v of %d results, want a norm and its pack", c.name, tokens,
					norm.node, len(norm.node.Out))
			}
			pointed := map[ops.Value]bool{}
			for _, r := range norm.launches[0].Args.relocs {
				pointed[r.value] = true
			}
			if pointed[norm.node.Result(0)] == c.spared || !pointed[norm.node.Result(1)] {
				t.Errorf("%s: %d tokens: the norm writes floats: %v, its pack: %v", c.name, tokens,
					pointed[norm.node.Result(0)], pointed[norm.node.Result(1)])
			}
			// the weights of the norm, its input and its floats
			if c.spared && l.arena.Bytes >= int64(4*k+2*4*tokens*k) {
				t.Errorf("%s: %d tokens take %d bytes", c.name, tokens, l.arena.Bytes)
			}
		}
	}
}
