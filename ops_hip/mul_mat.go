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
func vecSuffix(m int, t *Target) string {
	if m == 1 && !t.Invariant {
		return "1"
	}
	return "8"
}

// matchVec is the match of the mat-vec kernels, which are best for few tokens. Where results must not depend on how many
// there are, they take all, some at a time: decoding loses nothing by that, and prompts read the weights more often.
func matchVec(ok bool, m int, t *Target, score int) int {
	if t.Invariant {
		return matchIf(ok, matchInvariant+score)
	}
	return matchIf(ok && m <= vecTokens, score)
}

// vecGroups calls f for each group of tokens that mat-vec kernels take at a time, from token first on, and returns the
// launches.
func vecGroups(m int, f func(first, tokens int) Launch) ([]Launch, error) {
	var ls []Launch
	for first := 0; first < m; first += vecTokens {
		ls = append(ls, f(first, min(vecTokens, m-first)))
	}
	return ls, nil
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
		Match: func(node *ops.Node, t *Target) int {
			m, _, _, _, ok := mulMatSizes(node)
			return matchVec(ok, m, t, matchGood)
		},
		Launch: func(node *ops.Node, t *Target) ([]Launch, error) {
			m, n, k, w, _ := mulMatSizes(node)
			return vecGroups(m, func(first, tokens int) Launch {
				return Launch{Object: "mul_mat_" + w.group, Symbol: "mul_mat_" + w.kernel + "_vec" + vecSuffix(m, t),
					Grid: [3]uint32{Blocks(n, 4)}, Block: [3]uint32{128},
					Args: Args{}.PtrAt(node.In[0], 4*int64(first)*int64(k)).Ptr(node.In[1]).
						PtrAt(node.Result(0), 4*int64(first)*int64(n)).i32s(tokens, n, k)}
			})
		},
	})
	Register(Kernel{
		Name: "mul_mat_dot",
		Op:   ops.MulMatOp,
		Match: func(node *ops.Node, t *Target) int {
			m, _, _, _, ok := mulMatSizes(node)
			return matchVec(ok && dotWeights[node.In[1].DType()], m, t, matchBest)
		},
		// 24-bit codes as three matrices of bytes, with two floats for each block of 32.
		packs: func(node *ops.Node, _ *Target) []pack {
			m, _, k, _, _ := mulMatSizes(node)
			var ps []pack
			for first := 0; first < m; first += vecTokens {
				ps = append(ps, pack{node.In[0], codeForm(first, min(vecTokens, m-first), k)})
			}
			return ps
		},
		Launch: func(node *ops.Node, t *Target) ([]Launch, error) {
			m, n, k, w, _ := mulMatSizes(node)
			return vecGroups(m, func(first, tokens int) Launch {
				codes := node.In[2+first/vecTokens]
				return Launch{Object: "mul_mat_dot", Symbol: "mul_mat_" + w.kernel + "_dot" + vecSuffix(m, t),
					Grid: [3]uint32{Blocks(n, 8)}, Block: [3]uint32{128},
					Args: Args{}.pack(codes, codeForm(first, tokens, k)).Ptr(node.In[1]).
						PtrAt(node.Result(0), 4*int64(first)*int64(n)).i32s(tokens, n, k)}
			})
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
