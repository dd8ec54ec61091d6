package nn

import (
	"cmp"

	"github.com/hipengine/hipengine/engine/kv"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// NextN is a layer behind those of a decoder that predicts further tokens. Its input is
// eh_proj·concat(enorm(embedding of the token), hnorm(hidden state of the token before)); then it is a block like
// others, with the final norm shared_head_norm. Embedding and output matrix are the decoder's, unless the file has
// embed_tokens and shared_head_head; so is the final norm where it lacks its own. Hidden states are those after the
// final norm, the model's and the layer's.
type NextN struct {
	Layer int // its number in names
	Block
}

// Names of the tensors, after blk.N.
const (
	nextnProj   = "nextn.eh_proj"
	nextnENorm  = "nextn.enorm"
	nextnHNorm  = "nextn.hnorm"
	nextnNorm   = "nextn.shared_head_norm"
	nextnEmbed  = "nextn.embed_tokens"
	nextnOutput = "nextn.shared_head_head"
)

// ReadNextN gives d the layer that stands behind its others, of the given parts, if nextn_predict_layers says that
// there is one. Of several the first makes all drafts.
func ReadNextN(k *models.Keys, d *Decoder, m Mixer, f FFN) {
	if k.IntOr("nextn_predict_layers", 0, 0, 8) > 0 {
		d.NextN = &NextN{Layer: d.Layers, Block: Block{Mixer: m, FFN: f}}
	}
}

// Drafts implements [models.Drafter]. The layer of a model that is split is not known in parts.
func (d *Decoder) Drafts() bool { return d.NextN != nil && d.ranks == nil }

// DraftWeights lists the tensors of the layer.
func (d *Decoder) DraftWeights() []models.WeightSpec {
	var s Specs
	d.blockSpecs(&s, d.NextN.Layer, d.NextN.Block)
	s.Linear(nextnProj, d.Embd, 2*d.Embd)
	s.Norm(nextnENorm, d.Embd)
	s.Norm(nextnHNorm, d.Embd)
	s.optionalNorm(nextnNorm, d.Embd)
	for _, name := range []string{nextnEmbed, nextnOutput} {
		s.Add(models.WeightSpec{Name: name + ".weight", Shape: tensor.Shape{d.Vocab, d.Embd}, Optional: true})
	}
	return s.List
}

// DraftState lists the keys and values of the layer.
func (d *Decoder) DraftState() kv.Spec { return d.NextN.Mixer.State(d.NextN.Layer) }

// Draft records the layer.
func (d *Decoder) Draft(g *ops.Graph, w models.Weights, b models.DraftBatch) models.Outputs {
	defer func(was bool) { g.Exact = was }(g.Exact)
	g.Exact = g.Exact || d.Exact
	n, l := d.NextN, w.Layer(d.NextN.Layer)
	embed := w.Get(g, "token_embd.weight")
	if l.Has(nextnEmbed + ".weight") {
		embed = l.Get(g, nextnEmbed+".weight")
	}
	x := scale(g, ops.Embed(g, embed, b.Tokens), d.EmbdScale)
	if b.Embeds.Valid() {
		x = ops.ReplaceRows(g, x, b.Embeds, b.EmbedIDs)
	}
	h := Linear(g, l, nextnProj, ops.Concat(g, RMSNorm(g, l, nextnENorm, x, d.Eps),
		RMSNorm(g, l, nextnHNorm, b.Hidden, d.Eps)))
	hs := []ops.Value{h}
	d.block(g, []Rank{{l, NewStep(b.Batch)}}, n.Layer, n.Bare, []Mixer{n.Mixer}, []FFN{n.FFN}, hs)
	if h = hs[0]; g.Err() != nil {
		return models.Outputs{}
	}
	if l.Has(nextnNorm + ".weight") {
		h = RMSNorm(g, l, nextnNorm, h, d.Eps)
	} else {
		h = d.norm(g, w, d.outputNorm(), h)
	}
	head, of := outputMatrix(w), w
	if l.Has(nextnOutput + ".weight") {
		head, of = nextnOutput, l
	}
	y := FirstLinear(g, of, head, h, cmp.Or(b.Vocab, d.Vocab))
	return models.Outputs{Hidden: h, Logits: d.tamed(g, y)}
}
