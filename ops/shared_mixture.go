package ops

import (
	"fmt"

	"github.com/hipengine/hipengine/tensor"
)

// SharedMixtureOp is a mixture of experts with one that serves every token, behind a gate.
var SharedMixtureOp = Register(&Def{
	Name:  "shared_mixture",
	Infer: inferSharedMixture,
	Expand: func(g *Graph, in []Value, attrs any) (ys []Value) {
		a := attrs.(MixtureAttrs)
		exactly(g, a.MulMat, func() {
			x, bias := in[0], Value{}
			if len(in) == 10 {
				bias = in[9]
			}
			y := Mixture(g, x, in[1], in[2], in[3], in[4], bias, a.Route)
			z := MulMat(g, SwiGLU(g, MulMat(g, x, in[5]), MulMat(g, x, in[6])), in[7])
			gate := Sigmoid(g, MulMat(g, x, in[8]))
			z = WeightedSum(g, Reshape(g, z, z.Shape()[0], 1, z.Shape()[1]), gate)
			ys = []Value{Add(g, y, z)}
		})
		return ys
	},
	Work: func(n *Node) (flop, bytes int64) {
		flop, bytes = mixtureWork(n)
		for _, w := range n.In[5:9] {
			flop += 2 * int64(n.In[0].Shape()[0]) * int64(w.Shape().Elems())
		}
		return flop, bytes
	},
	Cases: func() []Case {
		var cs []Case
		for _, s := range mixtureSizes {
			c := s.mixture()
			first, down := s.first, s.down
			if s.otherShared {
				first, down = "Q8_0", "Q8_0"
			}
			shared := []Arg{weightOf(first, s.shared, s.in), weightOf(first, s.shared, s.in),
				weightOf(down, s.out, s.shared),
				{Leaf: Weight, DType: tensor.F32, Shape: tensor.Shape{1, s.in}}}
			c.Args = append(c.Args[:5:5], append(shared, c.Args[5:]...)...)
			c.Name += fmt.Sprintf("-%s-%s-%d", first, down, s.shared)
			cs = append(cs, c)
		}
		cs = append(cs, exactMixture(cs[len(cs)-1]))
		return knownTypes(cs)
	},
})

func inferSharedMixture(n *Node) error {
	if len(n.In) != 9 && len(n.In) != 10 {
		return fmt.Errorf("%d inputs, want 9 or 10", len(n.In))
	}
	mixture := &Node{Op: MixtureOp, In: append(n.In[:5:5], n.In[9:]...), Attrs: n.Attrs}
	if err := inferMixture(mixture); err != nil {
		return err
	}
	gate, err := inferProduct(n.In[0], n.In[5], "shared gate")
	if err != nil {
		return err
	}
	up, err := inferProduct(n.In[0], n.In[6], "shared up")
	if err != nil {
		return err
	}
	if !gate.Shape.Equal(up.Shape) {
		return fmt.Errorf("shared gate has %d rows, shared up %d", gate.Shape[1], up.Shape[1])
	}
	n.Out = mixture.Out
	if down, want := n.In[7].Shape(), (tensor.Shape{n.Out[0].Shape[1], gate.Shape[1]}); !down.Equal(want) {
		return fmt.Errorf("shared down is %v, want %v", down, want)
	}
	factor, err := inferProduct(n.In[0], n.In[8], "factor")
	if err == nil && factor.Shape[1] != 1 {
		err = fmt.Errorf("factor has %d rows, want 1", factor.Shape[1])
	}
	return err
}

// SharedMixture returns [Mixture] of x plus sigmoid(factor·x) times what a gated network of its own makes of each row.
// sharedGate, sharedUp: [ff', in]; sharedDown: [out, ff']; factor: [1, in], of any weight types.
func SharedMixture(g *Graph, x, router, gate, up, down, sharedGate, sharedUp, sharedDown, factor, bias Value,
	a RouteAttrs) Value {
	in := []Value{x, router, gate, up, down, sharedGate, sharedUp, sharedDown, factor}
	if bias.Valid() {
		in = append(in, bias)
	}
	return one(g.Add(SharedMixtureOp, MixtureAttrs{MulMatAttrs{g.Exact}, a}, in...))
}
