package nn

import (
	"fmt"
	"math"

	"github.com/hipengine/hipengine/engine/kv"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// latentEps is the epsilon of the norms of latent vectors, whatever that of the model's other norms is: so DeepSeek's
// code and the transformers library have it.
const latentEps = 1e-6

// LatentAttention is multi-head latent attention (DeepSeek-AI 2024, arXiv 2405.04434, section 2.1). A token keeps a
// normalized latent vector, of which each head makes a key and a value, and a rotated key that all heads share. The
// matrices that make keys and values are applied to queries and results instead (appendix C), so that heads read what
// is kept as it is. Queries may have a latent vector of their own.
type LatentAttention struct {
	Embd, Heads int
	QRank       int // of the latent vector of queries; 0: none
	Rank        int // of that of keys and values
	KeyDim      int // of a head, of what does not rotate
	Rotated     int // of a head: behind that in queries, behind the latent vector in what a token keeps
	ValueDim    int // of a head

	RoPE        *RoPE        // nil: no rotation
	Temperature *Temperature // nil: none
	Scale       float32      // on the dot products; 0: 1/sqrt(KeyDim+Rotated)

	split *latentPart // of one rank; nil: the whole
}

type latentPart struct {
	*part
	whole *LatentAttention
}

// Specs adds the projections and the norms of latent vectors.
func (a *LatentAttention) Specs(s *Specs) {
	if a.split != nil {
		a.split.specs(s, a.split.whole.Specs)
		return
	}
	heads := func(size int) models.Segment { return models.Segment{Kind: "heads", Units: a.Heads, Size: size} }
	queries := byRows(heads(a.KeyDim + a.Rotated))
	q := a.Heads * (a.KeyDim + a.Rotated)
	if a.QRank > 0 {
		s.Linear("attn_q_a", a.QRank, a.Embd)
		s.Norm("attn_q_a_norm", a.QRank)
		s.SplitLinear("attn_q_b", q, a.QRank, queries)
	} else {
		s.SplitLinear("attn_q", q, a.Embd, queries)
	}
	s.Linear("attn_kv_a_mqa", a.Rank+a.Rotated, a.Embd)
	s.Norm("attn_kv_a_norm", a.Rank)
	s.Add(models.WeightSpec{Name: "attn_k_b.weight", Shape: tensor.Shape{a.Heads, a.Rank, a.KeyDim},
		Split: byRows(heads(1))})
	s.Add(models.WeightSpec{Name: "attn_v_b.weight", Shape: tensor.Shape{a.Heads, a.ValueDim, a.Rank},
		Split: byRows(heads(1))})
	s.SplitLinear("attn_output", a.Embd, a.Heads*a.ValueDim, byColumns(heads(a.ValueDim)))
}

// Split gives each rank heads. All ranks keep the latent vectors, which all heads read.
func (a *LatentAttention) Split(r Ranks) ([]Mixer, error) {
	shares, err := r.headGroups("heads", a.Heads, 1)
	if err != nil {
		return nil, err
	}
	out := make([]Mixer, r.N)
	for i, p := range parts(r.N) {
		p.units["heads"] = []models.Range{shares[i].groups}
		own := *a
		own.Heads, own.split = shares[i].groups.Len(), &latentPart{p, a}
		out[i] = &own
	}
	return out, nil
}

// latentName is the name of what the tokens of a layer keep.
func latentName(layer int) string { return fmt.Sprintf("blk.%d.latent", layer) }

// State lists the layer's latent vectors with the rotated keys behind them, once for each token.
func (a *LatentAttention) State(layer int) kv.Spec {
	return kv.Spec{Paged: []kv.Paged{{Name: latentName(layer), Heads: 1, Dim: a.Rank + a.Rotated}}}
}

// Build records the attention of x, [tokens, n_embd].
func (a *LatentAttention) Build(g *ops.Graph, w models.Weights, s *Step, layer int, x ops.Value) ops.Value {
	tokens := x.Shape().Rows()
	table, ids := s.Table(g, 0), s.HeadIDs(g, a.Heads)

	kept := Linear(g, w, "attn_kv_a_mqa", x)
	latent := RMSNorm(g, w, "attn_kv_a_norm", ops.Slice(g, kept, 0, a.Rank), latentEps)
	key := ops.Reshape(g, ops.Slice(g, kept, a.Rank, a.Rank+a.Rotated), tokens, 1, a.Rotated)
	row := ops.Concat(g, ops.Reshape(g, latent, tokens, 1, a.Rank), a.rotate(g, w, s, key))
	cache := ops.KVAppend(g, s.State(g, latentName(layer)), row, s.Pos, s.Seq, table)
	s.Update(latentName(layer), cache)

	q := x
	if a.QRank > 0 {
		q = Linear(g, w, "attn_q_b", RMSNorm(g, w, "attn_q_a_norm", Linear(g, w, "attn_q_a", x), latentEps))
	} else {
		q = Linear(g, w, "attn_q", x)
	}
	q = ops.Reshape(g, q, tokens, a.Heads, a.KeyDim+a.Rotated)
	still := ops.MulMatExperts(g, ops.Slice(g, q, 0, a.KeyDim), w.Get(g, "attn_k_b.weight"), ids)
	q = ops.Concat(g, still, a.rotate(g, w, s, ops.Slice(g, q, a.KeyDim, a.KeyDim+a.Rotated)))
	if a.Temperature != nil {
		q = a.Temperature.Apply(g, w, s.Batch, q)
	}

	scale := a.Scale
	if scale == 0 {
		scale = float32(1 / math.Sqrt(float64(a.KeyDim+a.Rotated)))
	}
	o := ops.LatentAttention(g, q, cache, s.Pos, s.Seq, table, ops.LatentAttentionAttrs{Scale: scale, Values: a.Rank})
	o = ops.MulMatExperts(g, o, w.Get(g, "attn_v_b.weight"), ids)
	return Linear(g, w, "attn_output", ops.Reshape(g, o, tokens, a.Heads*a.ValueDim))
}

func (a *LatentAttention) rotate(g *ops.Graph, w models.Weights, s *Step, x ops.Value) ops.Value {
	if a.RoPE == nil {
		return x
	}
	return a.RoPE.Apply(g, w, s.Batch, x)
}

// ReadLatentAttention reads the sizes of latent attention: attention.kv_lora_rank, attention.q_lora_rank (0 by
// default), the heads' attention.key_length_mla and value_length_mla, and rope.dimension_count, of which key_length_mla
// holds as many elements that rotate; and attention.scale, 1/sqrt(key_length_mla) by default. It does not read how
// elements rotate. attention.head_count_kv, key_length and value_length may be missing, but not say other than that a
// token keeps one vector.
func ReadLatentAttention(k *models.Keys, d *Decoder) *LatentAttention {
	a := &LatentAttention{Embd: d.Embd, Heads: k.Int("attention.head_count", 1, models.MaxHeads)}
	a.Rank = k.Int("attention.kv_lora_rank", 1, models.MaxDim)
	a.QRank = k.IntOr("attention.q_lora_rank", 0, 0, models.MaxDim)
	if !k.Has("attention.key_length_mla") {
		k.Fail("attention.key_length_mla is missing: files from before April 2025 hold keys and values in attn_kv_b, " +
			"which is not supported; convert the model anew")
		return a
	}
	keys := k.Int("attention.key_length_mla", 2, models.MaxDim)
	a.Rotated = k.Int("rope.dimension_count", 1, keys-1)
	a.KeyDim = keys - a.Rotated
	a.ValueDim = k.Int("attention.value_length_mla", 1, models.MaxDim)
	if k.Has("attention.head_count_kv") {
		// Layers of other kinds may list a zero.
		if n := k.Largest("attention.head_count_kv", 1, models.MaxHeads); n != 1 {
			k.Fail("attention.head_count_kv is %d, want 1 with latent attention", n)
		}
	}
	for _, c := range []struct {
		key  string
		want int
	}{{"attention.key_length", a.Rank + a.Rotated}, {"attention.value_length", a.Rank}} {
		if n := k.IntOr(c.key, c.want, 1, models.MaxDim); n != c.want {
			k.Fail("%s is %d, want %d with latent attention of these sizes", c.key, n, c.want)
		}
	}
	a.Scale = float32(k.FloatOr("attention.scale", 0, 0, 1e6))
	return a
}
