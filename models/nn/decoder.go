package nn

import (
	"cmp"

	"github.com/hipengine/hipengine/engine/kv"
	"github.com/hipengine/hipengine/models"
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
	Build(g *ops.Graph, w models.Weights, s *Step, layer int, x ops.Value) ops.Value
}

// FFN is the part of a block that works on each token by itself.
type FFN interface {
	// Specs adds the weights of one layer to s.
	Specs(s *Specs)
	// Build records the network. w are the weights of the layer; x and the result are [tokens, n_embd].
	Build(g *ops.Graph, w models.Weights, x ops.Value) ops.Value
}

// Block is one layer: h ← h + Mixer(h), then h ← h + FFN(h), with the norms and factors of its [Decoder].
type Block struct {
	Mixer Mixer
	FFN   FFN  // nil: the layer ends with the mixer
	Bare  bool // the mixer takes the residual stream as it is, whatever Norms says
}

// Norms names the RMSNorms of a block. Where a name is empty there is none; the zero value is that of pre-norm
// models, {Mixer: "attn_norm", FFN: "ffn_norm"}.
type Norms struct {
	Mixer, MixerOut string // of what enters the mixer, and of what leaves it on its way to the residual stream
	FFN, FFNOut     string // the same for the feed-forward network
}

// SandwichNorms are norms before and after each half of a block, under their usual names.
var SandwichNorms = Norms{Mixer: "attn_norm", MixerOut: "post_attention_norm", FFN: "ffn_norm",
	FFNOut: "post_ffw_norm"}

// Decoder is a [models.Model]: token embedding, blocks, a final norm and the output matrix, which is the embedding if
// the file has no other.
type Decoder struct {
	models.Hparams
	Eps        float32 // of all norms
	Norms      Norms   // of every block
	OutputNorm string  // the final norm's name; "": output_norm
	BareNorms  bool    // files may name norms without the ending .weight
	LayerNorm  bool    // norms of blocks and the final one subtract the mean, and may have biases
	PostNorm   bool    // MixerOut and FFNOut are norms of the residual stream to which a half has been added
	Parallel   bool    // h ← h + Mixer(h) + FFN(h); a network without a norm of its own shares the mixer's
	Blocks     []Block
	NextN      *NextN // nil: none

	RoPE        []*RoPE        // the rotary tables that the blocks use, each once
	Temperature *Temperature   // that of the blocks' attention; nil: none
	PerLayer    *PerLayerInput // nil: none
	Encoder     *Encoder       // nil: none; see there

	EmbdScale     float32 // on token embeddings; 0: 1
	ResidualScale float32 // on what each half of a block adds to the residual stream; 0: 1
	OutputScale   bool    // each layer's result is multiplied by its layer_output_scale, 1 where the file has none
	LogitScale    float32 // on the logits; 0: 1
	LogitSoftcap  float32 // of the logits, after LogitScale; 0: none

	// Exact asks for exact products, see ops.MulMatAttrs, as models with routed experts need them everywhere: what
	// any product rounds reaches a later router.
	Exact bool
}

// Repeat appends one block for each layer with the same mixer. ffns holds a network for each layer, or one for all;
// none for layers that end with the mixer.
func (d *Decoder) Repeat(m Mixer, ffns ...FFN) { d.Alternate(make([]bool, d.Layers), m, m, ffns...) }

// Alternate appends one block for each layer, with mixer a where choice is true and b where it is not. ffns is as for
// Repeat.
func (d *Decoder) Alternate(choice []bool, a, b Mixer, ffns ...FFN) {
	for i, first := range choice {
		m := b
		if first {
			m = a
		}
		block := Block{Mixer: m}
		if len(ffns) > 0 {
			block.FFN = ffns[min(i, len(ffns)-1)]
		}
		d.Blocks = append(d.Blocks, block)
	}
}

// Params returns the common hyper-parameters.
func (d *Decoder) Params() models.Hparams { return d.Hparams }

// norms returns the names of a block's norms.
func (d *Decoder) norms() Norms {
	if d.Norms == (Norms{}) {
		return Norms{Mixer: "attn_norm", FFN: "ffn_norm"}
	}
	return d.Norms
}

// outputNorm returns the name of the final norm.
func (d *Decoder) outputNorm() string { return cmp.Or(d.OutputNorm, "output_norm") }

// outputScale is layer_output_scale, repeated for every element of the residual stream.
const outputScale = "layer_output_scale"

// Weights lists the tensors of the model.
func (d *Decoder) Weights() []models.WeightSpec {
	var s Specs
	s.Add(models.WeightSpec{Name: "token_embd.weight", Shape: tensor.Shape{d.Vocab, d.Embd}})
	if d.Encoder == nil || !d.PostNorm {
		d.normSpec(&s, d.outputNorm())
	}
	if d.Encoder != nil {
		d.Encoder.specs(&s, d)
	} else {
		s.Add(models.WeightSpec{Name: "output.weight", Shape: tensor.Shape{d.Vocab, d.Embd}, Optional: true})
	}
	for _, r := range d.RoPE {
		r.Specs(&s)
	}
	if d.Temperature != nil {
		d.Temperature.Specs(&s)
	}
	if d.PerLayer != nil {
		d.PerLayer.Specs(&s)
	}
	for i, b := range d.Blocks {
		d.blockSpecs(&s, i, b)
		if d.PerLayer != nil {
			d.PerLayer.LayerSpecs(&s)
		}
		if d.OutputScale {
			s.Add(models.WeightSpec{Name: outputScale, Shape: tensor.Shape{d.Embd}, Vector: true,
				Inputs: []models.WeightSpec{{Name: "layer_output_scale.weight", Shape: tensor.Shape{1}, Vector: true,
					Optional: true}},
				Derive: func(in [][]float32) ([]float32, error) {
					if in[0] == nil {
						return repeat(1, d.Embd), nil
					}
					return repeat(in[0][0], d.Embd), nil
				}})
		}
	}
	return s.List
}

// blockSpecs adds the weights of a layer.
func (d *Decoder) blockSpecs(s *Specs, layer int, b Block) {
	norms := d.norms()
	s.Layer(layer)
	if !b.Bare {
		d.normSpec(s, norms.Mixer)
	}
	b.Mixer.Specs(s)
	d.normSpec(s, norms.MixerOut)
	if b.FFN != nil {
		d.normSpec(s, norms.FFN)
		b.FFN.Specs(s)
		d.normSpec(s, norms.FFNOut)
	}
}

func (d *Decoder) normSpec(s *Specs, name string) {
	if name == "" {
		return
	}
	spec := models.WeightSpec{Name: name + ".weight", Shape: tensor.Shape{d.Embd}, Vector: true}
	if d.BareNorms {
		spec.Alt = []string{name}
	}
	s.Add(spec)
	if d.LayerNorm {
		s.Add(models.WeightSpec{Name: name + ".bias", Shape: tensor.Shape{d.Embd}, Vector: true, Optional: true})
	}
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
func (d *Decoder) Build(g *ops.Graph, w models.Weights, b models.Batch) models.Outputs {
	defer func(was bool) { g.Exact = was }(g.Exact)
	g.Exact = g.Exact || d.Exact
	s := NewStep(b)
	h := scale(g, ops.Embed(g, w.Get(g, "token_embd.weight"), b.Tokens), d.EmbdScale)
	if b.Embeds.Valid() {
		h = ops.ReplaceRows(g, h, b.Embeds, b.EmbedIDs)
	}
	if d.Encoder != nil {
		h = d.Encoder.input(g, w, d, b, h)
	}
	d.tap(b, 0, h)
	var inputs ops.Value
	if d.PerLayer != nil {
		inputs = d.PerLayer.Build(g, w, b, h)
	}
	for i, block := range d.Blocks {
		l := w.Layer(i)
		h = d.block(g, l, s, i, block, h)
		if d.PerLayer != nil {
			h = ops.Add(g, h, d.PerLayer.BuildLayer(g, l, i, inputs, h))
		}
		if d.OutputScale {
			h = ops.Mul(g, h, l.Get(g, outputScale))
		}
		d.tap(b, i+1, h)
	}
	var out models.Outputs
	if b.Every {
		out.Every = d.norm(g, w, d.outputNorm(), h)
	}
	h = ops.Rows(g, h, b.Rows)
	if d.Encoder != nil {
		return models.Outputs{Hidden: d.Encoder.output(g, w, d, h)}
	}
	out.Hidden = d.norm(g, w, d.outputNorm(), h)
	out.Logits = d.logits(g, Logits(g, w, out.Hidden))
	return out
}

// block records one layer, whose weights are w, of the residual stream h.
func (d *Decoder) block(g *ops.Graph, w models.Weights, s *Step, layer int, b Block, h ops.Value) ops.Value {
	norms, x := d.norms(), h
	if !b.Bare {
		x = d.norm(g, w, norms.Mixer, h)
	}
	y := b.Mixer.Build(g, w, s, layer, x)
	if !d.Parallel || norms.FFN != "" {
		x = h
	}
	h = d.add(g, w, norms.MixerOut, h, y)
	if !d.Parallel {
		x = h
	}
	if b.FFN != nil {
		y = b.FFN.Build(g, w, d.norm(g, w, norms.FFN, x))
		h = d.add(g, w, norms.FFNOut, h, y)
	}
	return h
}

// logits returns what the output matrix gives as the model means it.
func (d *Decoder) logits(g *ops.Graph, y ops.Value) ops.Value {
	y = scale(g, y, d.LogitScale)
	if d.LogitSoftcap != 0 {
		y = ops.Softcap(g, y, d.LogitSoftcap)
	}
	return y
}

// norm is RMSNorm or LayerNorm, or x itself for a norm without a name.
func (d *Decoder) norm(g *ops.Graph, w models.Weights, name string, x ops.Value) ops.Value {
	if name == "" {
		return x
	}
	if d.LayerNorm {
		return LayerNorm(g, w, name, x, d.Eps)
	}
	return RMSNorm(g, w, name, x, d.Eps)
}

// add adds a half of a block to the residual stream, with the norm that stands there.
func (d *Decoder) add(g *ops.Graph, w models.Weights, norm string, h, y ops.Value) ops.Value {
	if d.PostNorm {
		return d.norm(g, w, norm, ops.Add(g, h, scale(g, y, d.ResidualScale)))
	}
	return ops.Add(g, h, scale(g, d.norm(g, w, norm, y), d.ResidualScale))
}

func (d *Decoder) tap(b models.Batch, layer int, h ops.Value) {
	if b.Tap != nil {
		b.Tap(layer, h)
	}
}

// scale returns by·x, or x itself if by is zero.
func scale(g *ops.Graph, x ops.Value, by float32) ops.Value {
	if by == 0 || by == 1 {
		return x
	}
	return ops.Scale(g, x, by)
}

// repeat returns n times x.
func repeat(x float32, n int) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = x
	}
	return out
}
