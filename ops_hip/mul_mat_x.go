package opship

import "github.com/hipengine/hipengine/ops"

// activations is x of a matrix product in a form that faster kernels read, in the node's scratch memory from offset
// 0 on: halves or bytes, then scales.
type activations struct {
	make   Launch
	scales int64 // offset
	end    int64 // bytes in all
}

// matrixActivations are rows as the matrix kernels multiply them with weights of type w, bfloat16 with bfloat16 and
// halves with all others, and a float for each row. low is 0, or rows if what rounding takes from each is to follow.
func matrixActivations(x ops.Value, w weightType, rows, low, k int) activations {
	a := activations{scales: aligned(2 * int64(rows+low) * int64(k))}
	a.end = aligned(a.scales + 4*int64(rows))
	symbol := "mul_mat_x_f16"
	if w.kernel == "bf16" {
		symbol = "mul_mat_x_bf16"
	}
	a.make = Launch{Object: "mul_mat_x", Symbol: symbol, Grid: [3]uint32{uint32(rows)}, Block: [3]uint32{256},
		Args: Args{}.Ptr(x).ScratchPtr(0).ScratchPtr(a.scales).i32s(k, low), Scratch: a.end}
	return a
}

// codeActivations are 24-bit codes as three matrices of bytes, with two floats for each block of 32; k is a multiple
// of 32.
func codeActivations(x ops.Value, rows, k int) activations {
	blocks := rows * k / 32
	a := activations{scales: aligned(3 * int64(rows) * int64(k))}
	a.end = aligned(a.scales + 8*int64(blocks))
	a.make = Launch{Object: "mul_mat_x", Symbol: "mul_mat_x_q24", Grid: [3]uint32{Blocks(blocks, 8)}, Block: [3]uint32{256},
		Args: Args{}.Ptr(x).ScratchPtr(0).ScratchPtr(a.scales).i32s(blocks), Scratch: a.end}
	return a
}

// mmaStep is the number of elements along k that the matrix kernels take at a time; k must be a multiple.
const mmaStep = 32

// exactTokens is the largest step whose exact matrix products are made of three, of both factors rounded to 16 bits
// and of what that took from either: nearly those of floats. Mixtures of experts ask for them: see ops.MulMatAttrs.
// Experts get few tokens in such steps, so that much of the time goes to reading their weights; larger steps are for
// speed.
const exactTokens = 256

// matchThree is the match of a kernel of three products. It takes all nodes that the one of a single product takes, so
// that either can be checked on any graph, but leaves them to others where it does not pay.
func matchThree(ok bool, node *ops.Node) int {
	if ops.Exact(node) && node.In[0].Shape()[0] <= exactTokens {
		return matchIf(ok, matchSplit)
	}
	return matchIf(ok, matchPlain)
}

// mmaWeights reports whether the matrix kernels should multiply weights of the given type: they round weights to 16
// bits, which types of 32 bits or more are there to avoid.
func mmaWeights(t *Target, w weightType, k int) bool {
	return t.MMA != MMANone && k%mmaStep == 0 && !w.wide
}
