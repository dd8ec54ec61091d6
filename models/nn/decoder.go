package nn

import (
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/models/kv"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// Mixer is the part of a block that lets tokens see each other.
type Mixer interface {
	// Specs adds the weights of one layer to s.
	Specs(s *Specs)
	// State lists what the given layer keeps for each sequence.
	State(layer int) kv.Spec
	// Build records the mixer. w are the weights of the layer; x and the result are [tokens, n_embd].
	Build(g *ops.Graph, w models.Weights, b models.Batch, layer int, x ops.Value) ops.Value
}

// FFN is the part of a block that works on each token by itself.
type FFN interface {
	// Specs adds the weights of one layer to s.
	Specs(s *Specs)
	// Build records the network. w are the weights of the layer; x and the result are [tokens, n_embd].
	Build(g *ops.Graph, w models.Weights, x ops.Value) ops.Value
}

// Block is one layer: h ← h + Mixer(norm(h)), then h ← h + FFN(norm(h)).
type Block struct {
	Mixer   Mixer
	FFN     FFN
	FFNNorm string // the norm in front of FFN; empty: "ffn_norm"
}

func (b Block) ffnNorm() string {
	if b.FFNNorm == "" {
		return "ffn_norm"
	}
	return b.FFNNorm
}

// Decoder is a [models.Model]: token embedding, pre-norm blocks, a final norm and the output matrix, which is the
// embedding if the file has no other.
type Decoder struct {
	models.Hparams
	Eps    float32 // of all norms
	RoPE   []*RoPE // the rotary tables that the blocks use, each once
	Blocks []Block
}

// Repeat appends one block for each layer with the same mixer. ffns holds a network for each layer, or one for all.
func (d *Decoder) Repeat(m Mixer, ffns ...FFN) {
	for i := range d.Layers {
		d.Blocks = append(d.Blocks, Block{Mixer: m, FFN: ffns[min(i, len(ffns)-1)]})
	}
}

// Params returns the common hyper-parameters.
func (d *Decoder) Params() models.Hparams { return d.Hparams }

// Weights lists the tensors of the model.
func (d *Decoder) Weights() []models.WeightSpec {
	var s Specs
	s.Add(models.WeightSpec{Name: "token_embd.weight", Shape: tensor.Shape{d.Vocab, d.Embd}})
	s.Norm("output_norm", d.Embd)
	s.Add(models.WeightSpec{Name: "output.weight", Shape: tensor.Shape{d.Vocab, d.Embd}, Optional: true})
	for _, r := range d.RoPE {
		r.Specs(&s)
	}
	for i, b := range d.Blocks {
		s.Layer(i)
		s.Norm("attn_norm", d.Embd)
		b.Mixer.Specs(&s)
		s.Norm(b.ffnNorm(), d.Embd)
		b.FFN.Specs(&s)
	}
	return s.List
}

// State lists the state of all layers.
func (d *Decoder) State() kv.Spec {
	var all kv.Spec
	for i, b := range d.Blocks {
		s := b.Mixer.State(i)
		all.Paged = append(all.Paged, s.Paged...)
		all.Slots = append(all.Slots, s.Slots...)
	}
	return all
}

// Build records one step.
func (d *Decoder) Build(g *ops.Graph, w models.Weights, b models.Batch) ops.Value {
	h := ops.Embed(g, w.Get(g, "token_embd.weight"), b.Tokens)
	for i, block := range d.Blocks {
		l := w.Layer(i)
		h = ops.Add(g, h, block.Mixer.Build(g, l, b, i, RMSNorm(g, l, "attn_norm", h, d.Eps)))
		h = ops.Add(g, h, block.FFN.Build(g, l, RMSNorm(g, l, block.ffnNorm(), h, d.Eps)))
	}
	return Logits(g, w, b, h, d.Eps)
}
