package ops

import "fmt"

// MaxGroup is the largest number of products in a group.
const MaxGroup = 4

// Products of one input with two, three and four weight matrices.
var (
	MulMatGroup2Op = mulMatGroup(2)
	MulMatGroup3Op = mulMatGroup(3)
	MulMatGroup4Op = mulMatGroup(MaxGroup)
)

// MulMatGroupOp returns the op that multiplies one input with n weight matrices, nil if there is none.
func MulMatGroupOp(n int) *Def {
	switch n {
	case 2:
		return MulMatGroup2Op
	case 3:
		return MulMatGroup3Op
	case MaxGroup:
		return MulMatGroup4Op
	}
	return nil
}

// mulMatGroup declares the op of n weights.
func mulMatGroup(n int) *Def {
	return Register(&Def{
		Name:    fmt.Sprintf("mul_mat_group%d", n),
		Results: n,
		Infer: func(node *Node) error {
			if err := arity(node, 1+n); err != nil {
				return err
			}
			for i, w := range node.In[1:] {
				y, err := inferProduct(node.In[0], w, fmt.Sprintf("w%d", i+1))
				if err != nil {
					return err
				}
				node.Out = append(node.Out, y)
			}
			return nil
		},
		Expand: func(g *Graph, in []Value, attrs any) (ys []Value) {
			exactly(g, attrs, func() {
				for _, w := range in[1:] {
					ys = append(ys, MulMat(g, in[0], w))
				}
			})
			return ys
		},
		Work: func(node *Node) (flop, bytes int64) { return productWork(node, n) },
		Cases: func() []Case {
			var cs []Case
			// Rows of all weights differ, by less and by more than a block of a kernel has; types are equal, or
			// alternate.
			for _, s := range [][2]int{{1, 512}, {3, 256}, {9, 256}, {17, 512}} {
				rows := [MaxGroup]int{20, 3, 1, 37}
				if s[0] > 3 {
					// an error of few numbers says little where operands are rounded
					rows = [MaxGroup]int{20, 11, 16, 37}
				}
				for _, types := range [][2]string{{"F32", "F32"}, {"F16", "F16"}, {"Q8_0", "Q8_0"}, {"Q4_K", "Q4_K"},
					{"Q4_K", "Q6_K"}, {"Q8_0", "Q4_K"}} {
					c := Case{Name: fmt.Sprintf("%s-%s/m%dk%d", types[0], types[1], s[0], s[1]), Attrs: MulMatAttrs{},
						Args: []Arg{f32(s[0], s[1])}}
					for i := range n {
						c.Args = append(c.Args, weightOf(types[i%2], rows[i], s[1]))
					}
					cs = append(cs, c)
				}
			}
			return knownTypes(cs)
		},
	})
}

// MulMatGroup returns x·wᵀ for each of two to MaxGroup weights w, which may have different types and numbers of rows.
// x and the results are as for [MulMat].
func MulMatGroup(g *Graph, x Value, ws ...Value) []Value {
	d := MulMatGroupOp(len(ws))
	if d == nil {
		g.Fail(fmt.Errorf("ops: a group of %d products, it has 2 to %d", len(ws), MaxGroup))
		return make([]Value, len(ws))
	}
	return g.Add(d, MulMatAttrs{Exact: g.Exact}, append([]Value{x}, ws...)...)
}
