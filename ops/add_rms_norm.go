package ops

import "fmt"

// AddRMSNormOp is the step of a residual stream from one block to the next: what a block adds, and the norm before
// the next.
var AddRMSNormOp = Register(&Def{
	Name:    "add_rms_norm",
	Results: 2,
	Infer: func(n *Node) error {
		if err := arity(n, 3); err != nil {
			return err
		}
		x, y, w := n.In[0], n.In[1], n.In[2]
		if err := floats(x, "x"); err != nil {
			return err
		}
		if err := floats(y, "y"); err != nil {
			return err
		}
		if !x.Shape().Equal(y.Shape()) {
			return fmt.Errorf("x has shape %v, y %v", x.Shape(), y.Shape())
		}
		n.Out = []Type{x.Type(), x.Type()}
		return vector(w, "w", x.Shape().Last())
	},
	Expand: func(g *Graph, in []Value, attrs any) []Value {
		sum := Add(g, in[0], in[1])
		return []Value{sum, RMSNorm(g, sum, in[2], attrs.(NormAttrs).Eps)}
	},
	Cases: func() []Case {
		var cs []Case
		for _, s := range [][]int{{1, 1}, {1, 64}, {3, 67}, {5, 256}, {2, 3, 129}, {2, 1025}} {
			cs = append(cs, Case{Name: fmt.Sprint(s), Attrs: NormAttrs{1e-6},
				Args: []Arg{f32(s...), f32(s...), f32(s[len(s)-1])}})
		}
		tiny := f32(3, 96)
		tiny.Gen = scaled(1e-4)
		return append(cs, Case{Name: "eps", Attrs: NormAttrs{1e-5}, Args: []Arg{tiny, tiny, f32(96)}})
	},
})

// AddRMSNorm returns x + y and RMSNorm of that sum. x, y: one shape, [..., n]; w: [n].
func AddRMSNorm(g *Graph, x, y, w Value, eps float32) (sum, normed Value) {
	r := g.Add(AddRMSNormOp, NormAttrs{eps}, x, y, w)
	return r[0], r[1]
}
