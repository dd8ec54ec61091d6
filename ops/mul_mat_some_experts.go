package ops

import (
	"fmt"

	"github.com/hipengine/hipengine/tensor"
)

// MulMatSomeExpertsOp is [MulMatExpertsOp] for the choices that are experts.
var MulMatSomeExpertsOp = Register(&Def{
	Name:  "mul_mat_some_experts",
	Infer: func(n *Node) error { return MulMatExpertsOp.Infer(n) },
	Expand: func(g *Graph, in []Value, attrs any) (ys []Value) {
		exactly(g, attrs.(MulMatAttrs), func() {
			slots, _, from := ExpertSlots(g, in[2], Value{})
			y := MulMatExperts(g, in[0], in[1], slots)
			s := y.Shape()
			y = Reshape(g, y, s[0]*s[1], s[2])
			ys = []Value{Reshape(g, ReplaceRows(g, Scale(g, y, 0), y, from), s...)}
		})
		return ys
	},
	Work: func(n *Node) (flop, bytes int64) { return MulMatExpertsOp.Work(n) },
	Cases: func() []Case {
		var cs []Case
		add := func(f tensor.Format, tokens, shared, k, experts, out, in int) {
			cs = append(cs, Case{Name: fmt.Sprintf("%s/t%dx%dk%de%dn%di%d", f.Name, tokens, shared, k, experts, out,
				in), Args: []Arg{
				f32(tokens, shared, in), {Leaf: Weight, DType: f.DType, Shape: tensor.Shape{experts, out, in}},
				partialIDs(tokens, k, experts)}, Attrs: MulMatAttrs{}})
		}
		for _, f := range quantTypes() {
			add(f, 3, 1, 2, 4, 17, max(256, f.Block))
			if f.Name == "Q4_K" || f.Name == "Q6_K" || f.Name == "Q8_0" {
				add(f, 2, 2, 2, 4, 33, 256)
				add(f, 60, 1, 4, 7, 40, 256) // many tokens for each expert
			}
		}
		f, _ := tensor.F32.Format()
		add(f, 1, 1, 1, 1, 1, 1)
		add(f, 40, 1, 3, 7, 34, 96)
		exact := cs[len(cs)-1]
		exact.Name, exact.Attrs = exact.Name+"/exact", MulMatAttrs{Exact: true}
		return append(cs, exact)
	},
})

// MulMatSomeExperts is [MulMatExperts] where an id may be negative: no expert, for which nothing need be read, and the
// row of the result is zero. It multiplies the choices that another device does not.
func MulMatSomeExperts(g *Graph, x, w, ids Value) Value {
	return one(g.Add(MulMatSomeExpertsOp, g.mulMatAttrs(), x, w, ids))
}
