package ops

import "fmt"

// MixtureNormAttrs are the attributes of a mixture and a norm.
type MixtureNormAttrs struct {
	Mixture MixtureAttrs
	Norm    NormAttrs
}

// MixtureAddRMSNormOp is a mixture of experts at the end of a block, its addition to the residual stream, and the
// norm that follows; SharedMixtureAddRMSNormOp the same with an expert that serves every token.
var (
	MixtureAddRMSNormOp       = mixtureAddRMSNorm(MixtureOp)
	SharedMixtureAddRMSNormOp = mixtureAddRMSNorm(SharedMixtureOp)
)

// mixtureAddRMSNorm declares the op for a mixture, whose inputs follow those of the norm.
func mixtureAddRMSNorm(mixture *Def) *Def {
	inner := func(n *Node) *Node {
		return &Node{Op: mixture, In: n.In[2:], Attrs: n.Attrs.(MixtureNormAttrs).Mixture}
	}
	return Register(&Def{
		Name:    mixture.Name + "_add_rms_norm",
		Results: 2,
		Infer: func(n *Node) error {
			if len(n.In) < 3 {
				return fmt.Errorf("%d inputs, want more", len(n.In))
			}
			m := inner(n)
			if err := mixture.Infer(m); err != nil {
				return err
			}
			y := m.Out[0]
			if h := n.In[0]; h.DType() != y.DType || !h.Shape().Equal(y.Shape) {
				return fmt.Errorf("h is %v, the mixture %v", h.Type(), y)
			}
			n.Out = []Type{y, y}
			return vector(n.In[1], "the norm's w", y.Shape[1])
		},
		Expand: func(g *Graph, in []Value, attrs any) []Value {
			a := attrs.(MixtureNormAttrs)
			y := one(g.Add(mixture, a.Mixture, in[2:]...))
			sum, normed := AddRMSNorm(g, in[0], y, in[1], a.Norm.Eps)
			return []Value{sum, normed}
		},
		Work: func(n *Node) (flop, bytes int64) {
			m := inner(n)
			m.Out = n.Out[:1]
			flop, bytes = mixture.Work(m)
			return flop, bytes + 8*int64(n.Out[0].Shape.Elems())
		},
		Cases: func() []Case {
			var cs []Case
			for i, c := range mixture.Cases() {
				if i%3 != 0 { // the mixture itself has all
					continue
				}
				m := c.Attrs.(MixtureAttrs)
				tokens, out := c.Args[0].Shape[0], c.Args[4].Shape[1]
				h := f32(tokens, out)
				h.Gen = scaled(10) // a residual stream is larger than what a block adds
				c.Attrs = MixtureNormAttrs{m, NormAttrs{1e-6}}
				c.Args = append([]Arg{h, f32(out)}, c.Args...)
				cs = append(cs, c)
			}
			return cs
		},
	})
}
