package roofline

import (
	"fmt"
	"math"

	"github.com/hipengine/hipengine/engine/kv"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
	opship "github.com/hipengine/hipengine/ops_hip"
	"github.com/hipengine/hipengine/tensor"
)

// step is a step of a model whose sizes decide what launches move.
type step struct {
	name    string // as it is printed: "decode at 4096"
	sizes   models.Sizes
	context int // tokens of the sequence when the step ends
}

// decodeStep is one token of each of n sequences, with context tokens before it.
func decodeStep(n, context int) step {
	return step{fmt.Sprintf("decode at %d", context), models.Sizes{Tokens: n, Seqs: n, Pages: pagesOf(context + 1), Rows: n}, context + 1}
}

// prefillStep is a prompt of one sequence, from its start.
func prefillStep(tokens int) step {
	return step{fmt.Sprintf("prefill of %d", tokens), models.Sizes{Tokens: tokens, Seqs: 1, Pages: pagesOf(tokens), Rows: 1}, tokens}
}

// pagesOf returns the width of a page table for a sequence of n tokens.
func pagesOf(n int) int { return models.Bucket((n + kv.PageSize - 1) / kv.PageSize) }

// traffic tells what the launches of a step of a model move.
type traffic struct {
	step
	paged map[string]bool // states that are caches, by name; the others are one for each sequence
}

func newTraffic(s step, spec kv.Spec) traffic {
	t := traffic{s, map[string]bool{}}
	for _, p := range spec.Paged {
		t.paged[p.Name] = true
	}
	return t
}

// moved returns the bytes that a launch moves through memory if every operand is read once and every result written once:
// all of weights, activations and scratch memory, and of tables, caches and states what the step's tokens need. A launch
// that reads an operand again does not find that here.
func (t traffic) moved(l opship.Planned) (float64, error) {
	total := float64(l.Launch.Scratch)
	seen := map[ops.Value]bool{}
	for _, v := range l.Launch.Args.Values() {
		own := owner(v)
		if seen[own] {
			continue
		}
		seen[own] = true
		n, err := t.movedOf(l.Node, own)
		if err != nil {
			return 0, fmt.Errorf("%v: %w", l.Node, err)
		}
		total += n
	}
	return total, nil
}

// owner returns the value whose storage v has.
func owner(v ops.Value) ops.Value {
	for n := v.Node(); n.Op != nil && n.Op.Storage(v.Index()) >= 0; n = v.Node() {
		v = n.In[n.Op.Storage(v.Index())]
	}
	return v
}

// movedOf returns the bytes of v, which owns its storage, that a launch for n moves.
func (t traffic) movedOf(n *ops.Node, v ops.Value) (float64, error) {
	leaf, shape := v.Node(), v.Shape()
	size, err := tensor.Bytes(v.DType(), shape)
	if leaf.Leaf == ops.Weight {
		size, err = ops.WeightBytes(leaf.Tensor)
	}
	if err != nil {
		return 0, err
	}
	whole := float64(size)
	switch {
	case leaf.Leaf == ops.State:
		return whole * t.stateShare(n, leaf), nil
	case leaf.Leaf == ops.Weight && n.Op == ops.EmbedOp:
		return whole * float64(min(t.sizes.Tokens, shape[0])) / float64(shape[0]), nil
	case leaf.Leaf == ops.Weight && len(shape) == 3:
		return whole * expertShare(n, shape[0]), nil
	case n.Op == ops.RowsOp || n.Op == ops.SliceOp: // they read what they write
		out, err := tensor.Bytes(n.Out[0].DType, n.Out[0].Shape)
		return min(whole, float64(out)), err
	}
	return whole, nil
}

// stateShare returns the part of a cache or of the states of sequences that n reads and writes. Both are counted where it
// does both, so that it may be above the number of sequences.
func (t traffic) stateShare(n *ops.Node, state *ops.Node) float64 {
	shape, updated := state.Tensor.Shape, false
	for _, i := range n.Op.InPlace {
		updated = updated || ops.Root(n.In[i]) == state
	}
	switch seqs := float64(t.sizes.Seqs); {
	case t.paged[state.Tensor.Name] && updated:
		return float64(t.sizes.Tokens) / float64(shape[0]*shape[1])
	case t.paged[state.Tensor.Name]:
		return seqs * float64(t.context) / float64(shape[0]*shape[1])
	case updated:
		return 2 * seqs / float64(shape[0])
	default:
		return seqs / float64(shape[0])
	}
}

// expertShare returns the part of all experts that a product of n reads, if its tokens choose theirs at random.
func expertShare(n *ops.Node, experts int) float64 {
	for _, in := range n.In {
		if s := in.Shape(); in.DType() == tensor.I32 && len(s) == 2 { // [tokens, choices]
			return 1 - math.Pow(1-float64(min(s[1], experts))/float64(experts), float64(s[0]))
		}
	}
	return 1
}
