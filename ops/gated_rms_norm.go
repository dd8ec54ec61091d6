package ops

import "fmt"

// GatedRMSNormOp is the end of a gated DeltaNet layer (Yang et al. 2024, arXiv 2412.06464): a norm, times a gate.
var GatedRMSNormOp = Register(&Def{
	Name: "gated_rms_norm",
	Infer: func(n *Node) error {
		if err := arity(n, 3); err != nil {
			return err
		}
		x, w, gate := n.In[0], n.In[1], n.In[2]
		if err := floats(x, "x"); err != nil {
			return err
		}
		if err := floats(gate, "gate"); err != nil {
			return err
		}
		if !x.Shape().Equal(gate.Shape()) {
			return fmt.Errorf("x has shape %v, gate %v", x.Shape(), gate.Shape())
		}
		n.Out = []Type{x.Type()}
		return vector(w, "w", x.Shape().Last())
	},
	Expand: func(g *Graph, in []Value, attrs any) []Value {
		return []Value{Mul(g, RMSNorm(g, in[0], in[1], attrs.(NormAttrs).Eps), SiLU(g, in[2]))}
	},
	Cases: func() []Case {
		var cs []Case
		for _, s := range [][]int{{1, 1}, {3, 67}, {5, 4, 128}, {2, 1025}} {
			cs = append(cs, Case{Name: fmt.Sprint(s), Attrs: NormAttrs{1e-6},
				Args: []Arg{f32(s...), f32(s[len(s)-1]), f32(s...)}})
		}
		return cs
	},
})

// GatedRMSNorm returns RMSNorm(x) * silu(gate). x, gate: one shape, [..., n]; w: [n].
func GatedRMSNorm(g *Graph, x, w, gate Value, eps float32) Value {
	return one(g.Add(GatedRMSNormOp, NormAttrs{eps}, x, w, gate))
}
