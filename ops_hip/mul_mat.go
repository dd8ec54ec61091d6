package opship

import (
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// vecTokens is the largest number of tokens that the mat-vec kernels take.
const vecTokens = 8

// dotWeights are the types with integer dot products.
var dotWeights = map[tensor.DType]bool{quant.Q8_0: true, quant.Q4_K: true, quant.Q6_K: true}

// mulMatSizes returns tokens m, outputs n and inputs k of a mul_mat, the type of its weights, and whether the
// kernels take them.
func mulMatSizes(node *ops.Node) (m, n, k int, w weightType, ok bool) {
	m, n, k = node.In[0].Shape()[0], node.In[1].Shape()[0], node.In[1].Shape()[1]
	w, ok = weightTypeOf(node.In[1])
	return m, n, k, w, ok && fits(m, n, k, m*k/32) && cover(m, 64) <= maxGridYZ
}

// vecSuffix says which mat-vec kernel takes m tokens.
func vecSuffix(m int) string {
	if m == 1 {
		return "1"
	}
	return "8"
}

func init() {
	args := func(n *ops.Node) Args { return Args{}.Ptr(n.In[0]).Ptr(n.In[1]).Ptr(n.Result(0)) }
	Register(Kernel{
		Name: "mul_mat_tile",
		Op:   ops.MulMatOp,
		Match: func(node *ops.Node, _ *Target) int {
			_, _, _, _, ok := mulMatSizes(node)
			return matchIf(ok, matchPlain)
		},
		Launch: func(node *ops.Node, _ *Target) ([]Launch, error) {
			m, n, k, w, _ := mulMatSizes(node)
			return one(Launch{Object: "mul_mat_" + w.group, Symbol: "mul_mat_" + w.kernel + "_tile",
				Grid: [3]uint32{Blocks(n, 64), Blocks(m, 64)}, Block: [3]uint32{256}, Args: args(node).i32s(m, n, k)})
		},
	})
	Register(Kernel{
		Name: "mul_mat_vec",
		Op:   ops.MulMatOp,
		Match: func(node *ops.Node, _ *Target) int {
			m, _, _, _, ok := mulMatSizes(node)
			return matchIf(ok && m <= vecTokens, matchGood)
		},
		Launch: func(node *ops.Node, _ *Target) ([]Launch, error) {
			m, n, k, w, _ := mulMatSizes(node)
			return one(Launch{Object: "mul_mat_" + w.group, Symbol: "mul_mat_" + w.kernel + "_vec" + vecSuffix(m),
				Grid: [3]uint32{Blocks(n, 4)}, Block: [3]uint32{128}, Args: args(node).i32s(m, n, k)})
		},
	})
	Register(Kernel{
		Name: "mul_mat_dot",
		Op:   ops.MulMatOp,
		Match: func(node *ops.Node, _ *Target) int {
			m, _, _, _, ok := mulMatSizes(node)
			return matchIf(ok && m <= vecTokens && dotWeights[node.In[1].DType()], matchBest)
		},
		// 24-bit codes as three matrices of bytes, with two floats for each block of 32.
		packs: func(node *ops.Node, _ *Target) []pack {
			m, _, k, _, _ := mulMatSizes(node)
			return []pack{{node.In[0], codeForm(m, k)}}
		},
		Launch: func(node *ops.Node, _ *Target) ([]Launch, error) {
			m, n, k, w, _ := mulMatSizes(node)
			return one(Launch{Object: "mul_mat_dot", Symbol: "mul_mat_" + w.kernel + "_dot" + vecSuffix(m),
				Grid: [3]uint32{Blocks(n, 8)}, Block: [3]uint32{128},
				Args: Args{}.pack(node.In[2], codeForm(m, k)).Ptr(node.In[1]).Ptr(node.Result(0)).i32s(m, n, k)})
		},
	})
	mma := func(node *ops.Node, t *Target) bool {
		m, _, k, w, ok := mulMatSizes(node)
		return ok && m > vecTokens && mmaWeights(t, w, k)
	}
	// split says whether what rounding takes from x is multiplied too.
	register := func(name string, split bool, match func(ok bool, node *ops.Node) int) {
		low := func(m int) int {
			if split {
				return m
			}
			return 0
		}
		Register(Kernel{
			Name:  name,
			Op:    ops.MulMatOp,
			Match: func(node *ops.Node, t *Target) int { return match(mma(node, t), node) },
			packs: func(node *ops.Node, _ *Target) []pack {
				m, _, k, w, _ := mulMatSizes(node)
				return []pack{{node.In[0], matrixForm(w, m, low(m), k)}}
			},
			Launch: func(node *ops.Node, _ *Target) ([]Launch, error) {
				m, n, k, w, _ := mulMatSizes(node)
				return one(Launch{Object: "mul_mat_" + w.group, Symbol: "mul_mat_" + w.kernel + "_mma",
					Grid: [3]uint32{Blocks(n, 128), Blocks(m, 64)}, Block: [3]uint32{128},
					Args: Args{}.pack(node.In[2], matrixForm(w, m, low(m), k)).Ptr(node.In[1]).Ptr(node.Result(0)).i32s(m, n, k, low(m))})
			},
		})
	}
	register("mul_mat_mma", false, func(ok bool, _ *ops.Node) int { return matchIf(ok, matchBest) })
	register("mul_mat_mma3", true, matchThree)
}
