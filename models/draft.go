package models

import (
	"errors"
	"fmt"

	"github.com/hipengine/hipengine/engine/kv"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// Drafter is a [Model] of an architecture whose files may hold a layer that guesses further tokens: multi-token
// prediction, in GGUF "nextn". The layer is no part of Weights, State and Build, so that a model costs no more with it
// until somebody wants drafts: see [WithDrafts].
//
// The layer makes an entry of each token but the first of a sequence and of what the model made of the token before
// it, and keeps keys and values of its own for it. From the entry of the newest token it predicts the next one; from an
// entry of that prediction and of its own hidden state the one behind, and so on.
type Drafter interface {
	Model

	// Drafts reports whether the file says that it has the layer.
	Drafts() bool

	// DraftWeights lists the tensors that Draft uses beside those of Weights.
	DraftWeights() []WeightSpec

	// DraftState lists what the layer keeps for each sequence.
	DraftState() kv.Spec

	// Draft records the layer for some tokens. Outputs are for all of them.
	Draft(g *ops.Graph, w Weights, b DraftBatch) Outputs
}

// DraftBatch is the index data of one pass of a draft layer. Pos are places of entries: the one of the second token of
// a sequence is at 0. There are no Starts, Slots and Rows.
type DraftBatch struct {
	Batch

	// Hidden is, for each token, what was made of the token before it: F32 [tokens, n_embd], Outputs.Hidden of the
	// model, or of an earlier Draft if the token is one that it predicted.
	Hidden ops.Value

	// Vocab, where it is not 0, is how many tokens logits are wanted for: the first of the vocabulary.
	Vocab int
}

// DraftIndex is the index data that a step of a [Drafting] has beside that of its Batch. All are I32.
type DraftIndex struct {
	Pos    ops.Value // [tokens] place of each token's entry
	Seq    ops.Value // [tokens] as that of Batch, but negative for the first token of a sequence too: it has no entry
	Before ops.Value // [tokens] row of the token before in this step
	Recent ops.Value // [tokens] row of it among the recent hidden states, where it was not in this step; else negative
	Keep   ops.Value // [tokens] as that of Batch, but negative where the hidden state is not kept
	Place  ops.Value // [tokens] place of the hidden state among the recent ones of its sequence
	Slots  ops.Value // [sequences, 1] whose place among the recent ones is that
}

// ErrNoDrafts says that a model has no layer for drafts.
var ErrNoDrafts = errors.New("models: the model has no layer that predicts further tokens (MTP)")

// Drafting is a model together with its draft layer. Its weights and state are those of both, and a step writes the
// layer's keys and values of all of its tokens, and keeps the hidden states of the newest. So whatever happens to the
// state of a sequence happens to the layer's too.
type Drafting struct{ Drafter }

// WithDrafts returns m together with its draft layer. The error is ErrNoDrafts if there is none.
func WithDrafts(m Model) (*Drafting, error) {
	if d, ok := m.(Drafter); ok && d.Drafts() {
		return &Drafting{d}, nil
	}
	return nil, ErrNoDrafts
}

// frequent is how many tokens of a large vocabulary some text consists of nearly alone. Vocabularies are made by
// merging first what text has most of, so that tokens with small ids are the frequent ones. Of English and of programs
// the first 65,536 make up 97 to 98 % with the vocabularies of Qwen 3 and Llama 3, and 93 to 97 % with those of gpt-oss
// and DeepSeek V3; half as many make up 92 to 95 % and 85 to 91 %, which costs more guesses than their price saves.
// Text in other scripts has far fewer of them. The tokens that end a turn lie at the other end; one that is not guessed
// costs the rest of a round.
const frequent = 1 << 16

// FrequentTokens returns how many of the first tokens of the vocabulary guesses may be made of to be cheap: making one
// reads as many rows of the output matrix. It is 0 where the vocabulary is not much larger.
func (d *Drafting) FrequentTokens() int {
	if d.Params().Vocab < 2*frequent {
		return 0
	}
	return frequent
}

// Weights lists the tensors of the model and of the layer.
func (d *Drafting) Weights() []WeightSpec { return append(d.Drafter.Weights(), d.DraftWeights()...) }

// recentName is the state that holds the hidden states of a sequence's newest tokens.
const recentName = "draft.hidden"

// State lists the state of the model and of the layer.
func (d *Drafting) State() kv.Spec {
	s, t := d.Drafter.State(), d.DraftState()
	s.Paged, s.Slots = append(s.Paged, t.Paged...), append(s.Slots, t.Slots...)
	s.Recent = append(append(s.Recent, t.Recent...), kv.Recent{Name: recentName, Dim: d.Params().Embd})
	return s
}

// Build records one step, whose outputs are those of the model.
func (d *Drafting) Build(g *ops.Graph, w Weights, b Batch) Outputs {
	b.Every = true
	out := d.Drafter.Build(g, w, b)
	x := b.Draft
	if g.Err() != nil {
		return out
	}
	recent := b.State(g, recentName)
	h := ops.ReplaceRows(g, ops.Rows(g, out.Every, x.Before), recentRows(g, recent), x.Recent)
	entries := DraftBatch{Batch: b, Hidden: h}
	entries.Pos, entries.Seq = x.Pos, x.Seq
	d.Draft(g, w, entries) // for its state alone
	tokens, embd := out.Every.Shape()[0], out.Every.Shape()[1]
	ops.KVAppend(g, recent, ops.Reshape(g, out.Every, tokens, 1, embd), x.Place, x.Keep, x.Slots)
	return out
}

// recentRows sees the hidden states that are kept as rows.
func recentRows(g *ops.Graph, recent ops.Value) ops.Value {
	s := recent.Shape()
	return ops.Reshape(g, recent, s.Elems()/s.Last(), s.Last())
}

// ChainBatch is the index data of drafts of several sequences; see [ChainInputs]. All are I32.
type ChainBatch struct {
	Tokens ops.Value   // [sequences] the newest token of each sequence, which the model has not read
	Recent ops.Value   // [sequences] row of the token before it among the recent hidden states
	Pos    []ops.Value // [sequences] for each draft in turn: the place of the entry that it is made of
	Seq    []ops.Value // [sequences] which sequence it belongs to; negative if that wants fewer drafts, and for padding
	Pages  []PageGroup

	States  map[string]tensor.Tensor
	Context int // as in Batch
	Vocab   int // as in DraftBatch: drafts are tokens below it; 0: any
}

// Chain records drafts one after the other, each made of the token that had the largest logit before it. It returns
// the outputs of each draft, and for each the ids of those tokens, I32 [sequences, 1].
func (d *Drafting) Chain(g *ops.Graph, w Weights, c ChainBatch) (ids []ops.Value, outs []Outputs) {
	b := DraftBatch{Batch: Batch{Tokens: c.Tokens, Pages: c.Pages, States: c.States, Context: c.Context,
		Updated: map[string]ops.Value{}}, Vocab: c.Vocab}
	b.Hidden = ops.Rows(g, recentRows(g, b.State(g, recentName)), c.Recent)
	for i := range c.Pos {
		b.Pos, b.Seq = c.Pos[i], c.Seq[i]
		out := d.Draft(g, w, b)
		if g.Err() != nil {
			return nil, nil
		}
		best, _ := ops.TopK(g, out.Logits, 1)
		ids, outs = append(ids, best), append(outs, out)
		b.Tokens, b.Hidden = ops.Reshape(g, best, best.Shape().Elems()), out.Hidden
	}
	return ids, outs
}

// RecordChain records drafts of d, depth for each of n.Seqs sequences, of the first vocab tokens alone if that is not
// 0. Everything else is as for [Record].
func RecordChain(d *Drafting, w Weights, states map[string]tensor.Tensor, context int, n Sizes, depth, vocab int) (
	*ops.Graph, []ops.Value, []Outputs, error) {
	g := &ops.Graph{}
	b := ChainInputs(g, d, n, depth)
	b.States, b.Context, b.Vocab = states, context, vocab
	ids, outs := d.Chain(g, w, b)
	if err := g.Err(); err != nil {
		return nil, nil, nil, fmt.Errorf("models: recording drafts of %s: %w", d.Params().Arch, err)
	}
	return g, ids, outs, nil
}
