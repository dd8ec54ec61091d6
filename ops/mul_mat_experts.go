package ops

import (
	"fmt"
	"slices"

	"github.com/hipengine/hipengine/tensor"
)

// MulMatExpertsOp is the product with weight matrices that each token chooses.
var MulMatExpertsOp = Register(&Def{
	Name: "mul_mat_experts",
	Infer: func(n *Node) error {
		if err := arity(n, 3); err != nil {
			return err
		}
		x, w, ids := n.In[0], n.In[1], n.In[2]
		if err := is(x, "x", tensor.F32, 3); err != nil {
			return err
		}
		if err := is(w, "w", w.DType(), 3); err != nil {
			return err
		}
		xs, ws := x.Shape(), w.Shape()
		if err := experts(ids, xs[0]); err != nil {
			return err
		}
		k := ids.Shape()[1]
		if xs[2] != ws[2] || xs[1] != 1 && xs[1] != k {
			return fmt.Errorf("x %v does not fit w %v and %d experts per token", xs, ws, k)
		}
		n.Out = []Type{{tensor.F32, tensor.Shape{xs[0], k, ws[1]}}}
		return nil
	},
	Work: func(n *Node) (flop, bytes int64) {
		x, w, ids := n.In[0].Shape(), n.In[1], n.In[2].Shape()
		s := w.Shape()
		wb, _ := tensor.Bytes(w.DType(), s[1:]) // a weight that exists has a size
		picked := int64(ids.Elems())
		return 2 * picked * int64(s[1]*s[2]), min(picked, int64(s[0]))*wb + 4*(int64(x.Elems())+picked*int64(s[1]))
	},
	Cases: func() []Case {
		var cs []Case
		add := func(f tensor.Format, tokens, shared, k, experts, out, in int) {
			cs = append(cs, Case{Name: fmt.Sprintf("%s/t%dx%dk%de%dn%di%d", f.Name, tokens, shared, k, experts, out,
				in), Args: []Arg{
				f32(tokens, shared, in), {Leaf: Weight, DType: f.DType, Shape: tensor.Shape{experts, out, in}},
				expertIDs(tokens, k, experts)}})
		}
		for _, f := range quantTypes() {
			add(f, 3, 1, 2, 4, 5, max(256, f.Block))
			add(f, 2, 2, 2, 4, 33, max(256, f.Block))
		}
		// Experts get as many tokens as tiles of 8, 16 and 32 have, one more and one less; rows of a few blocks.
		for _, f := range quantTypes() {
			counts := []int{0, 3, 17}
			if f.Name == "Q4_K" || f.Name == "Q6_K" || f.Name == "Q8_0" {
				counts = []int{0, 1, 33, 7, 8, 9, 15, 16, 17}
			}
			k, n := max(512, f.Block), 37
			if f.Block <= 32 {
				k, n = 288, 130
			}
			c := Case{Name: fmt.Sprintf("%s/counts/n%di%d", f.Name, n, k)}
			var ids []int32
			for expert, tokens := range counts {
				ids = append(ids, slices.Repeat([]int32{int32(expert)}, tokens)...)
			}
			slices.Reverse(ids)
			c.Args = []Arg{f32(len(ids), 1, k),
				{Leaf: Weight, DType: f.DType, Shape: tensor.Shape{len(counts), n, k}},
				{Leaf: Input, DType: tensor.I32, Shape: tensor.Shape{len(ids), 1}, Ints: ids}}
			cs = append(cs, c)
			if f.Name == "Q4_K" || f.Name == "Q6_K" || f.Name == "Q8_0" {
				c.Name += "/exact"
				c.Attrs = MulMatAttrs{Exact: true}
				cs = append(cs, c)
			}
		}
		f, _ := tensor.F32.Format()
		add(f, 1, 1, 1, 1, 1, 1)
		add(f, 5, 3, 3, 7, 1, 1)    // a factor for each expert
		add(f, 40, 1, 3, 7, 34, 96) // many tokens for each expert
		return cs
	},
})

// MulMatExperts returns y[t][j] = w[ids[t][j]]·x[t][j]: each token is multiplied with the matrices of its own
// experts. x: F32 [tokens, 1 or k, in], the same row for all experts of a token if 1; w: [experts, out, in] of any
// weight type; ids: I32 [tokens, k]. Result F32 [tokens, k, out].
func MulMatExperts(g *Graph, x, w, ids Value) Value {
	return one(g.Add(MulMatExpertsOp, g.mulMatAttrs(), x, w, ids))
}
