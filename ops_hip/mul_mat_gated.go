package opship

import (
	"github.com/hipengine/hipengine/ops"
)

func init() {
	registerGated(ops.MulMatSwiGLUOp, 1)
	registerGated(ops.MulMatGeGLUOp, 2)
}

// emitsGated is what kernels of one token or few emit: codes.
func emitsGated(node *ops.Node, _ int, f packForm) bool {
	return f.kind == packQ24 && f.k == node.Out[0].Shape[1] && f.k%32 == 0
}

// registerGated registers the kernels of both products of a gated network. gate is the activation's number in math.h.
// Gate and up must have one type.
func registerGated(op *ops.Def, gate int) {
	Register(Kernel{
		Name: op.Name + "_dot",
		Op:   op,
		Match: func(node *ops.Node, _ *Target) int {
			p, ok := productsOf(node, 2)
			return matchIf(ok && p.dot() && !p.mixed && fits(p.m*p.w[0].Shape()[0]), matchGood)
		},
		packs:  codesOf,
		emits:  emitsGated,
		spares: func(*ops.Node, int) bool { return true },
		Launch: func(node *ops.Node, t *Target) ([]Launch, error) {
			p, _ := productsOf(node, 2)
			n := p.w[0].Shape()[0]
			return one(Launch{Object: "mul_mat_gated", Symbol: "mul_mat_" + p.typ.kernel + "_dot" + p.suffix(t) +
				"_gated",
				Grid: [3]uint32{Blocks(n, 32)}, Block: [3]uint32{256},
				Args: Args{}.pack(node.In[3], p.codes()).Ptr(node.In[1]).Ptr(node.In[2]).Ptr(node.Result(0)).
					emitted(node).i32s(p.m, n, p.k, gate)})
		},
	})
	registerMatrix(op, 2, Kernel{}, nil, func(t *Target, node *ops.Node, p products, split bool) []Launch {
		return []Launch{matrixLaunch(t, p, node.In[3], []ops.Value{node.Result(0)}, ops.Value{}, gate, split)}
	})
	registerSkinny(op, 2, Kernel{}, func(_ *ops.Node, p products) bool { return !p.mixed },
		func(t *Target, node *ops.Node, p products) []Launch {
			return skinnyLaunches(t, p, node.In[3], []ops.Value{node.Result(0)}, ops.Value{}, gate)
		})
}
