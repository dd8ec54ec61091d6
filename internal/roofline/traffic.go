package roofline

import (
	"fmt"
	"math"
	"slices"

	"github.com/hipengine/hipengine/engine/kv"
	"github.com/hipengine/hipengine/ops"
	opship "github.com/hipengine/hipengine/ops_hip"
	"github.com/hipengine/hipengine/tensor"
)

// step is a step of a model.
type step struct {
	name    string // as it is printed: "decode at 4096"
	tokens  int    // of all sequences
	seqs    int
	context int // tokens of a sequence when the step ends
}

// decodeStep is one token of each of n sequences, with context tokens before it.
func decodeStep(n, context int) step {
	name := fmt.Sprintf("decode at %d", context)
	if n > 1 {
		name = fmt.Sprintf("decode of %d sequences at %d", n, context)
	}
	return step{name, n, n, context + 1}
}

// prefillStep is a prompt of one sequence, from its start.
func prefillStep(tokens int) step {
	return step{fmt.Sprintf("prefill of %d", tokens), tokens, 1, tokens}
}

// traffic tells what the launches of a step of a model move.
type traffic struct {
	step
	paged  map[string]bool // states that are caches, by name; the others are one for each sequence
	chosen int             // experts that a token chooses in a layer; 0 for none
}

func newTraffic(s step, spec kv.Spec, chosen int) traffic {
	t := traffic{s, map[string]bool{}, chosen}
	for _, p := range spec.Paged {
		t.paged[p.Name] = true
	}
	return t
}

// moved returns the bytes that a launch moves through memory if every operand is read once and every result written
// once: all of weights, activations and scratch memory, and of tables, caches and states what the step's tokens need.
// A launch that reads an operand again does not find that here.
func (t traffic) moved(l opship.Planned) (float64, error) {
	total := float64(l.Scratch)
	seen := map[ops.Value]bool{}
	for _, v := range l.Launch.Args.Values() {
		own := ops.Owner(v)
		if seen[own] {
			continue
		}
		seen[own] = true
		n, err := t.movedOf(l.Node, own)
		if err != nil {
			return 0, fmt.Errorf("%v: %w", l.Node, err)
		}
		if own == ops.Owner(l.Node.In[0]) {
			n *= t.convolved(l)
		}
		total += n
	}
	return total, nil
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
		return whole * float64(min(t.tokens, shape[0])) / float64(shape[0]), nil
	case leaf.Leaf == ops.Weight && len(shape) == 3:
		return whole * t.expertShare(shape[0]), nil
	case n.Op == ops.SelfAttentionOp && v == ops.Owner(n.In[0]) && shape.Elems() == 2*n.Out[0].Shape.Elems():
		return whole / 2, nil // one launch reads the queries in it, and the other their gates
	case n.Op == ops.RowsOp || n.Op == ops.SliceOp: // they read what they write
		out, err := tensor.Bytes(n.Out[0].DType, n.Out[0].Shape)
		return min(whole, float64(out)), err
	}
	return whole, nil
}

// convolved returns the part of its input that a launch of a convolution reads: one that keeps the state alone reads
// the tokens that this holds.
func (t traffic) convolved(l opship.Planned) float64 {
	if l.Node.Op != ops.CausalConvOp || slices.Contains(l.Launch.Args.Values(), l.Node.Result(0)) {
		return 1
	}
	kept := l.Node.In[1].Shape()[1]
	return min(1, float64(t.seqs*kept)/float64(l.Node.In[0].Shape()[0]))
}

// stateShare returns the part of a cache or of the states of sequences that n reads and writes. Both are counted
// where it does both, so that it may be above the number of sequences.
func (t traffic) stateShare(n *ops.Node, state *ops.Node) float64 {
	shape, updated := state.Tensor.Shape, false
	for _, i := range n.Op.InPlace {
		updated = updated || ops.Root(n.In[i]) == state
	}
	switch seqs := float64(t.seqs); {
	case t.paged[state.Tensor.Name] && updated:
		return float64(t.tokens) / float64(shape[0]*shape[1])
	case t.paged[state.Tensor.Name]:
		return seqs * float64(t.context) / float64(shape[0]*shape[1])
	case updated:
		return 2 * seqs / float64(shape[0])
	default:
		return seqs / float64(shape[0])
	}
}

// expertShare returns the part of all experts that the step's tokens read, if each chooses its own at random.
func (t traffic) expertShare(experts int) float64 {
	return 1 - math.Pow(1-float64(min(t.chosen, experts))/float64(experts), float64(t.tokens))
}
