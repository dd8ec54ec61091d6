package models

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hipengine/hipengine/engine/kv"
	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// Hparams are the hyper-parameters that callers of any architecture need.
type Hparams struct {
	Arch    string // general.architecture
	Layers  int    // blocks that a step runs
	Embd    int    // hidden size
	Vocab   int    // length of a logits row
	Context int    // context length that the model was made for, in tokens

	// Encoder says that tokens see those behind them: all of a sequence is in one step, nothing is kept of it, and
	// hidden states are all that the model computes.
	Encoder bool

	TokenTypes int // of an encoder: how many types its tokens may have, see Batch.Types; 0 or 1: they have none
}

// Model is one architecture with its hyper-parameters. Methods are pure and may be called from several goroutines.
type Model interface {
	Params() Hparams

	// Weights lists every tensor that Build uses. The loader checks all of them before it allocates anything.
	Weights() []WeightSpec

	// State lists what each sequence keeps between steps.
	State() kv.Spec

	// Build records one step.
	Build(g *ops.Graph, w Weights, b Batch) Outputs
}

// Outputs are what a step computes for the rows of its batch. A device computes only what a plan asks for.
type Outputs struct {
	Hidden ops.Value // F32 [rows, n_embd]: what the output matrix multiplies, the residual stream after the final norm
	Logits ops.Value // F32 [rows, vocab]; the zero Value for encoders

	// Every is what Hidden is, for all tokens of the step: F32 [tokens, n_embd]. It is there if the batch asks for it.
	Every ops.Value
}

// Result returns what a model is run for: the logits, or the hidden states of one that has none.
func (o Outputs) Result() ops.Value {
	if o.Logits.Valid() {
		return o.Logits
	}
	return o.Hidden
}

// PageGroup is the page table of all layers whose attention has one window.
type PageGroup struct {
	Window int       // as in kv.Paged
	Table  ops.Value // [sequences, pages]
}

// Batch is the index data of one step, as values of the graph; see [Inputs]. The tokens of a sequence are contiguous
// and in order. All are I32 unless said otherwise.
type Batch struct {
	Tokens ops.Value   // [tokens] token ids
	Pos    ops.Value   // [tokens] position of each token in its sequence
	Seq    ops.Value   // [tokens] which sequence of the batch each token belongs to; negative for padding
	Pages  []PageGroup // page tables, one for each of kv.Spec.Windows
	Starts ops.Value   // [sequences+1] first row of each sequence
	Slots  ops.Value   // [sequences] or [sequences, 1+kept] places in per-sequence state, see ops.CausalConv
	Rows   ops.Value   // [rows] tokens whose outputs are wanted

	// Types, of models with several Hparams.TokenTypes, are the types of tokens: 0 or, of a text that is read behind
	// another, 1.
	Types ops.Value // [tokens]

	// Embeds, where valid, are rows, F32 [m, n_embd], that enter the first layer in place of what the token makes
	// there, as those of an image do: at token t, row EmbedIDs[t], or that of the token itself if it is negative.
	Embeds   ops.Value
	EmbedIDs ops.Value // [tokens]

	States map[string]tensor.Tensor // storage of the State entries, by name

	// Updated are states as what was recorded before in the graph leaves them, and gets those that are written. Nil is
	// for all that is recorded of a graph at once.
	Updated map[string]ops.Value

	Draft DraftIndex // of a step of a Drafting
	Every bool       // Outputs.Every is wanted; encoders do not have it

	// Context is the most tokens that a sequence may hold while this cache lives; 0: as many as the model was
	// made for. Some rotary tables depend on it, and keys that were cached under one table are wrong under
	// another.
	Context int

	// Tap, where set, sees the residual stream, [tokens, n_embd], while it is recorded: as layer 0 what enters the
	// first layer, as layer i what leaves the i-th. It is for those who look inside a model.
	Tap func(layer int, h ops.Value)
}

// Table returns the page table of layers with the given window. An architecture whose kv.Spec has no such window is an
// error of g.
func (b Batch) Table(g *ops.Graph, window int) ops.Value {
	for _, p := range b.Pages {
		if p.Window == window {
			return p.Table
		}
	}
	g.Fail(fmt.Errorf("models: no state of the model's kv.Spec has a window of %d", window))
	return ops.Value{}
}

// State declares the state called name in g. An architecture declares each of its states once.
func (b Batch) State(g *ops.Graph, name string) ops.Value {
	t, ok := b.States[name]
	if !ok {
		g.Fail(fmt.Errorf("models: state %q is not in the model's kv.Spec", name))
		return ops.Value{}
	}
	return g.State(t)
}

// Parser makes a model of an architecture from a file's metadata. Missing keys are errors or defaults that the
// architecture's package documents.
type Parser func(*gguf.Meta) (Model, error)

var parsers = map[string]Parser{}

// Register makes architecture arch known under its general.architecture name.
func Register(arch string, parse Parser) {
	if _, ok := parsers[arch]; ok {
		panic("models: duplicate architecture " + arch)
	}
	parsers[arch] = parse
}

// Architectures returns the names of all registered architectures, sorted.
func Architectures() []string { return slices.Sorted(maps.Keys(parsers)) }

// UnknownArchError reports a file of an architecture that no linked package implements.
type UnknownArchError struct{ Arch string }

func (e *UnknownArchError) Error() string {
	return fmt.Sprintf("models: architecture %q is not supported (supported: %s)", e.Arch,
		strings.Join(Architectures(), ", "))
}

// New makes the model that meta describes.
func New(meta *gguf.Meta) (Model, error) {
	arch, err := meta.String("general.architecture")
	if err != nil {
		return nil, fmt.Errorf("models: %w", err)
	}
	if typ, err := meta.StringOr("general.type", "model"); err != nil || typ != "model" {
		return nil, fmt.Errorf("models: the file holds a %q, not a model that can run by itself", typ)
	}
	parse, ok := parsers[arch]
	if !ok {
		return nil, &UnknownArchError{arch}
	}
	m, err := parse(meta)
	if err != nil {
		return nil, fmt.Errorf("models: %s: %w", arch, err)
	}
	return m, nil
}
