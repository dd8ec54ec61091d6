package nn

import (
	"cmp"
	"slices"

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
	FFN   FFN    // nil: the layer ends with the mixer
	Bare  bool   // the mixer takes the residual stream as it is, whatever Norms says
	Norms *Norms // in place of the Decoder's; nil: those
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
	OutputBias    bool    // the output matrix may have a bias
	LogitScale    float32 // on the logits; 0: 1
	LogitSoftcap  float32 // of the logits, after LogitScale; 0: none

	// Exact asks for exact products, see ops.MulMatAttrs, as models with routed experts need them everywhere: what
	// any product rounds reaches a later router.
	Exact bool

	ranks []rankBlocks // of a model that is split; nil: one that is whole
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
func (d *Decoder) norms(b Block) Norms {
	n := d.Norms
	switch {
	case b.Norms != nil:
		n = *b.Norms
	case n == Norms{}:
		n = Norms{Mixer: "attn_norm", FFN: "ffn_norm"}
	}
	if b.Bare {
		n.Mixer = ""
	}
	return n
}

// outputNorm returns the name of the final norm.
func (d *Decoder) outputNorm() string { return cmp.Or(d.OutputNorm, "output_norm") }

// outputScale is layer_output_scale, repeated for every element of the residual stream.
const outputScale = "layer_output_scale"

// Weights lists the tensors of the model, those of one rank after those of another.
func (d *Decoder) Weights() []models.WeightSpec {
	var s Specs
	for _, r := range d.parts() {
		s.part, s.prefix = r.part, ""
		d.specs(&s, r.blocks)
	}
	return s.List
}

// specs adds the tensors of the model with the given blocks.
func (d *Decoder) specs(s *Specs, blocks []Block) {
	s.Add(models.WeightSpec{Name: "token_embd.weight", Shape: tensor.Shape{d.Vocab, d.Embd},
		Split: byColumns(models.Segment{Kind: embdColumns, Units: d.Embd, Size: 1})})
	if d.Encoder == nil || !d.PostNorm {
		d.normSpec(s, d.outputNorm())
	}
	if d.Encoder != nil {
		d.Encoder.specs(s, d)
	} else {
		rows := byRows(models.Segment{Kind: vocabRows, Units: d.Vocab, Size: 1})
		s.Add(models.WeightSpec{Name: "output.weight", Shape: tensor.Shape{d.Vocab, d.Embd}, Optional: true,
			Split: rows})
		if d.OutputBias {
			s.Add(models.WeightSpec{Name: "output.bias", Shape: tensor.Shape{d.Vocab}, Vector: true, Optional: true,
				Split: rows})
		}
	}
	for _, r := range d.RoPE {
		r.Specs(s)
	}
	if d.Temperature != nil {
		d.Temperature.Specs(s)
	}
	if d.PerLayer != nil {
		d.PerLayer.Specs(s)
	}
	for i, b := range blocks {
		d.blockSpecs(s, i, b)
		if d.PerLayer != nil {
			d.PerLayer.LayerSpecs(s)
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
}

// blockSpecs adds the weights of a layer.
func (d *Decoder) blockSpecs(s *Specs, layer int, b Block) {
	norms := d.norms(b)
	s.Layer(layer)
	d.normSpec(s, norms.Mixer)
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
	for _, r := range d.parts() {
		for i, b := range r.blocks {
			s := b.Mixer.State(i)
			for _, p := range s.Paged {
				p.Name += r.suffix()
				all.Paged = append(all.Paged, p)
			}
			for _, p := range s.Slots {
				p.Name += r.suffix()
				all.Slots = append(all.Slots, p)
			}
		}
	}
	return all
}

// Build records one step. Every rank of a model that is split has the whole residual stream; a block is the ranks'
// parts of its halves, and what they make is added.
func (d *Decoder) Build(g *ops.Graph, w models.Weights, b models.Batch) models.Outputs {
	defer func(was bool) { g.Exact = was }(g.Exact)
	g.Exact = g.Exact || d.Exact
	ranks := d.begin(w, b)
	hs := d.embed(g, ranks, b)
	d.tap(b, 0, hs[0])
	inputs := make([]ops.Value, len(hs))
	if d.PerLayer != nil {
		for r, h := range hs {
			inputs[r] = d.PerLayer.Build(g, ranks[r].Weights, b, h)
		}
	}
	for i, block := range d.Blocks {
		ls := make([]Rank, len(ranks))
		for r, rank := range ranks {
			ls[r] = Rank{rank.Weights.Layer(i), rank.Step}
		}
		d.block(g, ls, i, d.norms(block), d.mixers(i), d.ffns(i), hs)
		if g.Err() != nil {
			return models.Outputs{}
		}
		for r, l := range ls {
			if d.PerLayer != nil {
				hs[r] = ops.Add(g, hs[r], d.PerLayer.BuildLayer(g, l.Weights, i, inputs[r], hs[r]))
			}
			if d.OutputScale {
				hs[r] = ops.Mul(g, hs[r], l.Weights.Get(g, outputScale))
			}
		}
		d.tap(b, i+1, hs[0])
	}
	var out models.Outputs
	if b.Every {
		out.Every = d.norm(g, ranks[0].Weights, d.outputNorm(), hs[0])
	}
	if d.Encoder != nil {
		return models.Outputs{Hidden: d.Encoder.output(g, ranks[0].Weights, d, ops.Rows(g, hs[0], b.Rows))}
	}
	for r, h := range hs {
		hs[r] = d.norm(g, ranks[r].Weights, d.outputNorm(), ops.Rows(g, h, b.Rows))
	}
	out.Hidden, out.Logits = hs[0], d.tamed(g, d.logits(g, ranks, hs))
	return out
}

// block records one layer, whose weights and parts the ranks have, of the residual streams hs, which it replaces. After
// an error of g they are undefined.
func (d *Decoder) block(g *ops.Graph, ls []Rank, layer int, norms Norms, mixers []Mixer, ffns []FFN, hs []ops.Value) {
	xs := slices.Clone(hs)
	for r, h := range hs {
		xs[r] = d.norm(g, ls[r].Weights, norms.Mixer, h)
	}
	ys := allReduce(g, mix(g, ls, mixers, layer, xs))
	if g.Err() != nil {
		return
	}
	for r, h := range hs {
		if !d.Parallel || norms.FFN != "" {
			xs[r] = h
		}
		if hs[r] = d.add(g, ls[r].Weights, norms.MixerOut, h, ys[r]); !d.Parallel {
			xs[r] = hs[r]
		}
	}
	if ffns[0] == nil {
		return
	}
	for r := range xs {
		xs[r] = d.norm(g, ls[r].Weights, norms.FFN, xs[r])
	}
	ys = feed(g, ls, ffns, xs)
	if g.Err() != nil {
		return
	}
	for r, h := range hs {
		hs[r] = d.add(g, ls[r].Weights, norms.FFNOut, h, ys[r])
	}
}

// tamed returns the logits that the model means with those of the output matrix.
func (d *Decoder) tamed(g *ops.Graph, y ops.Value) ops.Value {
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
