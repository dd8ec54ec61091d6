package opship

import "github.com/hipengine/hipengine/ops"

// emitsSumNorm and sparesNorm are what kernels of one token or few emit of the norm, codes, and that it may be nothing
// else.
func emitsSumNorm(node *ops.Node, r int, f packForm) bool {
	return f.kind == packQ24 && r == 1 && f.k == node.Out[1].Shape[1] && f.k%128 == 0
}
func sparesNorm(_ *ops.Node, r int) bool { return r == 1 }

func init() {
	Register(Kernel{
		Name: "mul_mat_add_rms_norm_dot",
		Op:   ops.MulMatAddRMSNormOp,
		Match: func(node *ops.Node, _ *Target) int {
			p, ok := productsOf(node, 1)
			n := node.Out[0].Shape[1]
			return matchIf(ok && p.dot() && n%4 == 0 && n <= normRow, matchGood)
		},
		packs:  codesOf,
		emits:  emitsSumNorm,
		spares: sparesNorm,
		Launch: func(node *ops.Node, t *Target) ([]Launch, error) {
			p, _ := productsOf(node, 1)
			n := node.Out[0].Shape[1]
			return one(Launch{Object: "mul_mat_add_rms_norm", Symbol: "mul_mat_" + p.typ.kernel + "_dot" +
				p.suffix(t) + "_norm",
				Grid: [3]uint32{Blocks(n, 16)}, Block: [3]uint32{256}, Counters: 1,
				Args: Args{}.pack(node.In[4], p.codes()).Ptr(node.In[1]).Ptr(node.In[2]).Ptr(node.In[3]).
					Ptr(node.Result(0)).Ptr(node.Result(1)).
					emitted(node).CounterPtr().i32s(p.m, n, p.k).F32(node.Attrs.(ops.MulMatNormAttrs).Norm.Eps)})
		},
	})
	// Of many tokens, the norm is a launch of its own.
	match := func(node *ops.Node) bool { return normName(node.Out[0].Shape) != "" }
	emits := func(node *ops.Node, r int, f packForm) bool { return r == 1 && normEmits(node.Out[1].Shape, f) }
	apart := Kernel{emits: emits, spares: sparesNorm}
	after := func(node *ops.Node, ls ...Launch) []Launch {
		y := node.Out[0].Shape
		return append(ls, normLaunch("rms_norm", normName(y), node, y,
			Args{}.Ptr(node.Result(0)).Ptr(node.In[3]).Ptr(node.Result(1)), node.Attrs.(ops.MulMatNormAttrs).Norm.Eps))
	}
	registerMatrix(ops.MulMatAddRMSNormOp, 1, apart, match,
		func(t *Target, node *ops.Node, p products, split bool) []Launch {
			return after(node, matrixLaunch(t, p, node.In[4], []ops.Value{node.Result(0)}, node.In[2], 0, split))
		})
	registerSkinny(ops.MulMatAddRMSNormOp, 1, apart, func(node *ops.Node, _ products) bool { return match(node) },
		func(t *Target, node *ops.Node, p products) []Launch {
			return after(node, skinnyLaunches(t, p, node.In[4], []ops.Value{node.Result(0)}, node.In[2], 0)...)
		})
}
