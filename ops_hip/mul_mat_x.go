package opship

import "github.com/hipengine/hipengine/ops"

// matrixForm is how the matrix kernels read rows that they multiply with weights of type w: bfloat16 with bfloat16 and
// halves with all others, and a float for each row. low is 0, or rows if what rounding takes from each is to follow.
func matrixForm(w weightType, rows, low, k int) packForm {
	f := packForm{kind: packF16, rows: rows, k: k, low: low}
	if w.kernel == "bf16" {
		f.kind = packBF16
	}
	return f
}

// codeFormFrom is how integer products read rows from one on, codeForm how they read all: 24-bit codes as three
// matrices of bytes, with two floats for each block of 32.
func codeFormFrom(first, rows, k int) packForm {
	return packForm{kind: packQ24, first: first, rows: rows, k: k}
}
func codeForm(rows, k int) packForm { return codeFormFrom(0, rows, k) }

// mmaStep is the number of elements along k that the matrix kernels take at a time; k must be a multiple.
const mmaStep = 32

// maxMatrixRow is the longest row of the matrix kernels, which count the bytes of 128 rows of weights in 32 bits.
const maxMatrixRow = 1 << 22

// exactTokens is the largest step whose exact matrix products are made of three, of both factors rounded to 16 bits
// and of what that took from either: nearly those of floats. Mixtures of experts ask for them: see ops.MulMatAttrs.
// Experts get few tokens in such steps, so that much of the time goes to reading their weights; larger steps are for
// speed.
const exactTokens = 128

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
	return t.MMA != MMANone && k%mmaStep == 0 && k <= maxMatrixRow && !w.wide
}
