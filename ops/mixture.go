package ops

import (
	"fmt"

	"github.com/hipengine/hipengine/tensor"
)

// MixtureAttrs are the attributes of [MixtureOp] and [SharedMixtureOp].
type MixtureAttrs struct {
	MulMat MulMatAttrs // of all products
	Route  RouteAttrs
}

// MixtureOp is a mixture of experts, from the router on.
var MixtureOp = Register(&Def{
	Name:  "mixture",
	Infer: inferMixture,
	Expand: func(g *Graph, in []Value, attrs any) (ys []Value) {
		exactly(g, attrs.(MixtureAttrs).MulMat,
			func() { ys = []Value{expandMixture(g, in, attrs.(MixtureAttrs).Route)} })
		return ys
	},
	Work: func(n *Node) (flop, bytes int64) { return mixtureWork(n) },
	Cases: func() []Case {
		var cs []Case
		for _, c := range mixtureSizes {
			cs = append(cs, c.mixture())
		}
		cs = append(cs, exactMixture(cs[len(cs)-1]))
		return knownTypes(cs)
	},
})

// expandMixture records a mixture of inputs x, router, gate, up, down and, if there is one, bias.
func expandMixture(g *Graph, in []Value, a RouteAttrs) Value {
	x, bias := in[0], Value{}
	if len(in) == 6 {
		bias = in[5]
	}
	ids, weights := Route(g, MulMat(g, x, in[1]), bias, a)
	rows := Reshape(g, x, x.Shape()[0], 1, x.Shape()[1])
	y := SwiGLU(g, MulMatExperts(g, rows, in[2], ids), MulMatExperts(g, rows, in[3], ids))
	return WeightedSum(g, MulMatExperts(g, y, in[4], ids), weights)
}

func inferMixture(n *Node) error {
	if len(n.In) != 5 && len(n.In) != 6 {
		return fmt.Errorf("%d inputs, want 5 or 6", len(n.In))
	}
	x, router, gate, up, down, a := n.In[0], n.In[1], n.In[2], n.In[3], n.In[4], n.Attrs.(MixtureAttrs)
	logits, err := inferProduct(x, router, "router")
	if err != nil {
		return err
	}
	for i, what := range []string{"gate", "up", "down"} {
		if w := n.In[2+i]; len(w.Shape()) != 3 {
			return fmt.Errorf("%s is %v, want 3 dimensions", what, w.Type())
		}
	}
	s, in, out := gate.Shape(), x.Shape()[1], down.Shape()[1]
	want := tensor.Shape{router.Shape()[0], s[1], in}
	if !s.Equal(want) || !up.Shape().Equal(want) || !down.Shape().Equal(tensor.Shape{s[0], out, s[1]}) {
		return fmt.Errorf("gate %v, up %v and down %v do not fit %d experts and rows of %d", s, up.Shape(),
			down.Shape(), want[0], in)
	}
	if err := a.Route.check(want[0]); err != nil {
		return err
	}
	n.Out = []Type{{tensor.F32, tensor.Shape{logits.Shape[0], out}}}
	if len(n.In) == 6 {
		return vector(n.In[5], "bias", want[0])
	}
	return nil
}

// mixtureWork is the Work of a mixture: of its experts, what the tokens use at most.
func mixtureWork(n *Node) (flop, bytes int64) {
	x, experts, k := n.In[0].Shape(), n.In[2].Shape()[0], n.Attrs.(MixtureAttrs).Route.K
	picked := int64(x[0] * k)
	read := min(picked, int64(experts))
	flop = 2 * int64(x[0]) * int64(n.In[1].Shape().Elems())
	for i, v := range n.In {
		b, _ := tensor.Bytes(v.DType(), v.Shape()) // what exists has a size
		if i >= 2 && i <= 4 {
			flop += 2 * picked * int64(v.Shape()[1:].Elems())
			b = b / int64(experts) * read
		}
		bytes += b
	}
	return flop, bytes + 4*int64(n.Out[0].Shape.Elems())
}

// Mixture routes each row of x to K of the experts by the logits x·routerᵀ and adds up what their gated networks make
// of it: y[t] = Σ_j weights[t][j] · down[e]·(silu(gate[e]·x[t]) * up[e]·x[t]) for e = ids[t][j], see [Route]. x: F32
// [tokens, in]; router: [experts, in]; gate, up: [experts, ff, in]; down: [experts, out, ff], of any weight types;
// bias: as for Route. Result F32 [tokens, out].
func Mixture(g *Graph, x, router, gate, up, down, bias Value, a RouteAttrs) Value {
	in := []Value{x, router, gate, up, down}
	if bias.Valid() {
		in = append(in, bias)
	}
	return one(g.Add(MixtureOp, MixtureAttrs{MulMatAttrs{g.Exact}, a}, in...))
}

// mixtureSize is a case of a mixture.
type mixtureSize struct {
	first, down             string // types of gate and up, and of down
	tokens, experts, in, ff int
	out, shared             int
	a                       RouteAttrs
	bias, ties, otherShared bool // ties: all experts are equal to the router
}

var mixtureSizes = []mixtureSize{
	{"Q4_K", "Q8_0", 1, 8, 512, 64, 40, 64,
		RouteAttrs{K: 3, Gating: Softmax, Norm: true, Scale: 1}, false, false, false},
	{"Q8_0", "Q8_0", 3, 40, 96, 32, 33, 64,
		RouteAttrs{K: 4, Gating: Softmax, Norm: false, Scale: 1}, false, false, false},
	{"Q6_K", "Q8_0", 2, 5, 256, 32, 6, 32,
		RouteAttrs{K: 2, Gating: SoftmaxTopK, Norm: false, Scale: 1}, false, false, false},
	{"Q8_0", "Q4_K", 8, 24, 64, 256, 36, 256,
		RouteAttrs{K: 6, Gating: SigmoidGate, Norm: true, Scale: 2.5}, true, false, false},
	{"Q8_0", "Q6_K", 2, 6, 32, 512, 20, 512,
		RouteAttrs{K: 4, Gating: Softmax, Norm: true, Scale: 1}, false, true, false},
	{"F32", "F32", 1, 4, 7, 5, 3, 5, RouteAttrs{K: 2, Gating: Softmax, Norm: true, Scale: 1}, false, false, false},
	{"Q4_K", "Q8_0", 40, 6, 256, 96, 72, 96,
		RouteAttrs{K: 2, Gating: Softmax, Norm: true, Scale: 1}, false, false, false},
	{"Q8_0", "Q6_K", 1, 4, 64, 256, 8, 256,
		RouteAttrs{K: 2, Gating: Softmax, Norm: true, Scale: 1}, false, false, true},
	{"Q8_0", "Q8_0", 9, 130, 64, 32, 32, 32,
		RouteAttrs{K: 2, Gating: SigmoidGate, Norm: true, Scale: 1}, true, false, false},
	{"Q4_K", "Q6_K", 33, 16, 512, 256, 72, 256,
		RouteAttrs{K: 4, Gating: Softmax, Norm: true, Scale: 1}, false, false, false},
}

// exactMixture returns c, of which all products are to be exact.
func exactMixture(c Case) Case {
	a := c.Attrs.(MixtureAttrs)
	a.MulMat.Exact = true
	c.Name, c.Attrs = c.Name+"/exact", a
	return c
}

func (s mixtureSize) mixture() Case {
	router := Arg{Leaf: Weight, DType: tensor.F32, Shape: tensor.Shape{s.experts, s.in}}
	if s.ties {
		router.Gen = between(0.5, 0.5)
	}
	c := Case{Name: fmt.Sprintf("%s-%s/t%de%di%df%do%dk%dg%d", s.first, s.down, s.tokens, s.experts, s.in, s.ff, s.out,
		s.a.K, s.a.Gating),
		Attrs: MixtureAttrs{Route: s.a},
		Args: []Arg{f32(s.tokens, s.in), router, weightOf(s.first, s.experts, s.ff, s.in),
			weightOf(s.first, s.experts, s.ff, s.in),
			weightOf(s.down, s.experts, s.out, s.ff)}}
	if s.bias {
		c.Args = append(c.Args, f32(s.experts))
	}
	return c
}
