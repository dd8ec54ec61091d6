package opship

import (
	"math"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// Results of Match, the kernels of one op against each other.
const (
	matchNone  = -1
	matchPlain = 0  // right for all that it takes
	matchGood  = 10 // better where it applies, or one of those that a Choice names
	matchBest  = 20
	matchSplit = 30 // see exactTokens

	// matchInvariant is above all others: kernels whose results do not depend on the number of tokens take their nodes
	// where that is demanded. Ops whose kernels all keep to it, or differ in their speed alone, do without.
	matchInvariant = 100
)

// invariantFirst returns score, or one above those of other kernels where results must not depend on the number of
// tokens.
func (t *Target) invariantFirst(score int) int {
	if t.Invariant {
		return matchInvariant + score
	}
	return score
}

// maxIndex bounds sizes that kernels count in 32 bits.
const maxIndex = math.MaxInt32

// matchIf is the Match result of a kernel that takes what ok says.
func matchIf(ok bool, score int) int {
	if ok {
		return score
	}
	return matchNone
}

// fits reports whether every size is at most maxIndex.
func fits(sizes ...int) bool {
	for _, s := range sizes {
		if s > maxIndex {
			return false
		}
	}
	return true
}

// cover returns ⌈n/by⌉ as an int, for sizes of Go's side.
func cover(n, by int) int { return (n + by - 1) / by }

// aligned rounds n up to the alignment of scratch memory.
func aligned(n int64) int64 { return (n + memAlign - 1) / memAlign * memAlign }

// one returns the launches of a node that is a single launch.
func one(l Launch) ([]Launch, error) { return []Launch{l}, nil }

// optional adds the address of input i, or null if the node does not have it.
func (a Args) optional(n *ops.Node, i int) Args {
	if i < len(n.In) {
		return a.Ptr(n.In[i])
	}
	return a.NullPtr()
}

// i32s adds sizes; Match has checked that they fit.
func (a Args) i32s(xs ...int) Args {
	for _, x := range xs {
		a = a.I32(int32(x))
	}
	return a
}

// isF32 reports whether v is stored as float.
func isF32(v ops.Value) bool { return v.DType() == tensor.F32 }
