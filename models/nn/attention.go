package nn

import (
	"fmt"
	"math"

	"github.com/hipengine/hipengine/engine/kv"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// QKNorm says how attention normalizes queries and keys before the rotation, with attn_q_norm and attn_k_norm.
type QKNorm uint8

// The norms of queries and keys.
const (
	NoQKNorm      QKNorm = iota
	QKNormHeads          // each head by itself, with weights that all heads share
	QKNormWhole          // all heads of a token together
	QKNormIfThere        // as QKNormHeads in files that have the weights, none in others
)

// Attention is self-attention with grouped queries, causal over the paged KV cache or that of an encoder. Its
// projections may have biases; files may fuse those of q, k and v into attn_qkv.
type Attention struct {
	Embd, Heads, KVHeads, HeadDim int

	RoPE        *RoPE        // nil: no rotation
	Temperature *Temperature // nil: none
	QKNorm      QKNorm
	RoPEFirst   bool    // queries and keys are rotated before they are normalized, each head by itself
	VNorm       bool    // RMSNorm without weights of each head of v
	Eps         float32 // of the norms
	QKVBias     bool    // the biases of q, k and v must be there
	Gated       bool    // attn_q holds query and gate of each head; the output is multiplied by sigmoid(gate)
	KeysAsVals  bool    // files without attn_v are right: its result is that of attn_k then

	Scale   float32 // on the dot products; 0: 1/sqrt(HeadDim)
	Softcap float32 // of the scores; 0: none
	Window  int     // a query at p sees keys at p-Window+1..p; 0: all

	// Bidirectional attention sees all of the sequence, or the keys at p-Window/2..p+Window/2, and caches nothing. It
	// has no softcap, gate, temperature or sinks.
	Bidirectional bool

	Sinks bool // attn_sinks.weight: a logit per head that joins the softmax without a value

	split *attentionPart // of one rank; nil: the whole
}

// qDim and kvDim are the numbers of rows of attn_q, and of attn_k and attn_v.
func (a *Attention) qDim() int {
	if a.Gated {
		return 2 * a.Heads * a.HeadDim
	}
	return a.Heads * a.HeadDim
}

func (a *Attention) kvDim() int { return a.KVHeads * a.HeadDim }

// vNorm is a vector of ones, the weights of the norm of values.
const vNorm = "attn_v_norm"

// Specs adds the projections, the norms and the sinks.
func (a *Attention) Specs(s *Specs) {
	if a.split != nil {
		a.split.specs(s, a.split.whole.Specs)
		return
	}
	a.querySpecs(s)
	q, kv := a.qDim(), a.kvDim()
	part := func(lo int) models.Part { return models.Part{Name: "attn_qkv", Lo: lo, Of: q + 2*kv} }
	shape := tensor.Shape{kv, a.Embd}
	s.linear(models.WeightSpec{Name: "attn_k", Shape: shape, Part: part(q),
		Split: byRows(models.Segment{Kind: "keys", Units: a.KVHeads, Size: a.HeadDim})}, a.QKVBias)
	s.linear(models.WeightSpec{Name: "attn_v", Shape: shape, Part: part(q + kv), Optional: a.KeysAsVals,
		Split: byRows(models.Segment{Kind: "values", Units: a.KVHeads, Size: a.HeadDim})}, a.QKVBias)
	switch a.QKNorm {
	case QKNormHeads:
		s.Norm("attn_k_norm", a.HeadDim)
	case QKNormWhole:
		s.Norm("attn_k_norm", kv)
	case QKNormIfThere:
		s.optionalNorm("attn_k_norm", a.HeadDim)
	}
	if a.VNorm {
		s.Add(models.WeightSpec{Name: vNorm + ".weight", Shape: tensor.Shape{a.HeadDim}, Vector: true,
			Derive: func([][]float32) ([]float32, error) { return repeat(1, a.HeadDim), nil }})
	}
}

// querySpecs adds what has nothing to do with keys and values.
func (a *Attention) querySpecs(s *Specs) {
	if a.split != nil {
		a.split.specs(s, a.split.whole.querySpecs)
		return
	}
	heads := models.Segment{Kind: "heads", Units: a.Heads, Size: a.HeadDim}
	rows := heads
	rows.Size = a.qDim() / a.Heads
	s.linear(models.WeightSpec{Name: "attn_q", Shape: tensor.Shape{a.qDim(), a.Embd}, Split: byRows(rows),
		Part: models.Part{Name: "attn_qkv", Of: a.qDim() + 2*a.kvDim()}}, a.QKVBias)
	s.linear(models.WeightSpec{Name: "attn_output", Alt: []string{"attn_out"}, Split: byColumns(heads),
		Shape: tensor.Shape{a.Embd, a.Heads * a.HeadDim}}, false)
	switch a.QKNorm {
	case QKNormHeads:
		s.Norm("attn_q_norm", a.HeadDim)
	case QKNormWhole:
		s.Norm("attn_q_norm", a.Heads*a.HeadDim)
	case QKNormIfThere:
		s.optionalNorm("attn_q_norm", a.HeadDim)
	}
	if a.Sinks {
		s.Add(models.WeightSpec{Name: "attn_sinks.weight", Alt: []string{"attn_sinks"}, Shape: tensor.Shape{a.Heads},
			Vector: true, Split: byRows(models.Segment{Kind: "heads", Units: a.Heads, Size: 1})})
	}
}

// kName and vName are the names of a layer's keys and values.
func kName(layer int) string { return fmt.Sprintf("blk.%d.k", layer) }
func vName(layer int) string { return fmt.Sprintf("blk.%d.v", layer) }

// State lists the keys and values of the layer.
func (a *Attention) State(layer int) kv.Spec {
	if a.Bidirectional {
		return kv.Spec{}
	}
	return kv.Spec{Paged: []kv.Paged{
		{Name: kName(layer), Heads: a.KVHeads, Dim: a.HeadDim, Window: a.Window},
		{Name: vName(layer), Heads: a.KVHeads, Dim: a.HeadDim, Window: a.Window},
	}}
}

// Build records the attention of x, [tokens, n_embd]. Keys are cached after norm and rotation.
func (a *Attention) Build(g *ops.Graph, w models.Weights, s *Step, layer int, x ops.Value) ops.Value {
	return a.build(g, w, s, layer, x, Linear(g, w, "attn_k", x), ops.Value{})
}

// build is Build with the projection k of keys, and that of queries unless q is invalid.
func (a *Attention) build(g *ops.Graph, w models.Weights, s *Step, layer int, x, k, q ops.Value) ops.Value {
	tokens := x.Shape().Rows()
	v := k
	if !a.KeysAsVals || w.Has("attn_v.weight") {
		v = Linear(g, w, "attn_v", x)
	}
	k = a.place(g, w, s, "attn_k_norm", k, a.KVHeads)
	v = ops.Reshape(g, v, tokens, a.KVHeads, a.HeadDim)
	if a.VNorm {
		v = RMSNorm(g, w, vNorm, v, a.Eps)
	}
	if a.Bidirectional {
		q = a.place(g, w, s, "attn_q_norm", a.queries(g, w, x, q), a.Heads)
		o := ops.BidirectionalAttention(g, q, k, v, s.Seq, s.Starts,
			ops.BidirectionalAttentionAttrs{Scale: a.scale(), Reach: a.Window / 2})
		return Linear(g, w, "attn_output", ops.Reshape(g, o, tokens, a.Heads*a.HeadDim))
	}
	table := s.Table(g, a.Window)
	s.Update(kName(layer), ops.KVAppend(g, s.State(g, kName(layer)), k, s.Pos, s.Seq, table))
	s.Update(vName(layer), ops.KVAppend(g, s.State(g, vName(layer)), v, s.Pos, s.Seq, table))
	return a.attend(g, w, s, layer, x, q)
}

// queries returns q if it is valid, or the projection of x.
func (a *Attention) queries(g *ops.Graph, w models.Weights, x, q ops.Value) ops.Value {
	if q.Valid() {
		return q
	}
	return Linear(g, w, "attn_q", x)
}

// attend records queries, q or those of x, over the keys and values of the given layer.
func (a *Attention) attend(g *ops.Graph, w models.Weights, s *Step, layer int, x, q ops.Value) ops.Value {
	tokens := x.Shape().Rows()
	q = a.queries(g, w, x, q)
	var gate, sinks ops.Value
	if a.Gated {
		q = ops.Reshape(g, q, tokens, a.Heads, 2*a.HeadDim)
		q, gate = ops.Slice(g, q, 0, a.HeadDim), ops.Slice(g, q, a.HeadDim, 2*a.HeadDim)
	}
	q = a.place(g, w, s, "attn_q_norm", q, a.Heads)
	if a.Temperature != nil {
		q = a.Temperature.Apply(g, w, s.Batch, q)
	}
	if a.Sinks {
		sinks = w.Get(g, "attn_sinks.weight")
	}
	attrs := ops.AttentionAttrs{Scale: a.scale(), Softcap: a.Softcap, Window: a.Window}
	k, v := s.State(g, kName(layer)), s.State(g, vName(layer))
	o := ops.Attention(g, q, k, v, s.Pos, s.Seq, s.Table(g, a.Window), sinks, attrs)
	if a.Gated {
		o = ops.Mul(g, o, ops.Sigmoid(g, gate))
	}
	return Linear(g, w, "attn_output", ops.Reshape(g, o, tokens, a.Heads*a.HeadDim))
}

// scale returns the factor on the dot products.
func (a *Attention) scale() float32 {
	if a.Scale == 0 {
		return float32(1 / math.Sqrt(float64(a.HeadDim)))
	}
	return a.Scale
}

// place normalizes and rotates queries or keys and returns them as [tokens, heads, head dim].
func (a *Attention) place(g *ops.Graph, w models.Weights, s *Step, norm string, x ops.Value, heads int) ops.Value {
	if a.RoPEFirst {
		x = ops.Reshape(g, x, x.Shape().Elems()/(heads*a.HeadDim), heads, a.HeadDim)
		return RMSNorm(g, w, norm, a.rotate(g, w, s, x), a.Eps)
	}
	return a.rotate(g, w, s, a.norm(g, w, norm, x, heads))
}

// norm normalizes queries or keys and returns them as [tokens, heads, head dim].
func (a *Attention) norm(g *ops.Graph, w models.Weights, name string, x ops.Value, heads int) ops.Value {
	tokens := x.Shape().Elems() / (heads * a.HeadDim)
	if a.QKNorm == QKNormWhole {
		x = RMSNorm(g, w, name, x, a.Eps)
	}
	x = ops.Reshape(g, x, tokens, heads, a.HeadDim)
	if a.QKNorm == QKNormHeads || a.QKNorm == QKNormIfThere && w.Has(name+".weight") {
		x = RMSNorm(g, w, name, x, a.Eps)
	}
	return x
}

func (a *Attention) rotate(g *ops.Graph, w models.Weights, s *Step, x ops.Value) ops.Value {
	if a.RoPE == nil {
		return x
	}
	return a.RoPE.Apply(g, w, s.Batch, x)
}

// SharedAttention is attention that has no keys and values of its own: it reads those of layer From, an earlier one
// with as many heads of the same size and the same window.
type SharedAttention struct {
	*Attention
	From int
}

// Specs adds the projections of queries and output, the norm of queries and the sinks.
func (a *SharedAttention) Specs(s *Specs) { a.querySpecs(s) }

// State is empty.
func (a *SharedAttention) State(int) kv.Spec { return kv.Spec{} }

// Build records the attention of x, [tokens, n_embd].
func (a *SharedAttention) Build(g *ops.Graph, w models.Weights, s *Step, _ int, x ops.Value) ops.Value {
	return a.attend(g, w, s, a.From, x, ops.Value{})
}

// ReadAttention reads the head counts, the head dimension and the scale of dot products. Defaults:
// attention.head_count_kv that of head_count, key_length and value_length embedding_length / head_count,
// attention.scale 1/sqrt(head dimension).
func ReadAttention(k *models.Keys, d *Decoder) *Attention {
	embd := d.Embd
	a := &Attention{Embd: embd, Eps: d.Eps, Heads: k.Int("attention.head_count", 1, models.MaxHeads)}
	a.KVHeads = a.Heads
	if k.Has("attention.head_count_kv") {
		// Files of models that have no keys in some layers may list a zero for those.
		a.KVHeads = k.Largest("attention.head_count_kv", 1, a.Heads)
	}
	if a.Heads%a.KVHeads != 0 {
		k.Fail("attention.head_count %d is not a multiple of attention.head_count_kv %d", a.Heads, a.KVHeads)
	}
	if !k.Has("attention.key_length") && embd%a.Heads != 0 {
		k.Fail("embedding_length %d is not a multiple of attention.head_count %d", embd, a.Heads)
	}
	a.HeadDim = k.IntOr("attention.key_length", embd/a.Heads, 1, models.MaxDim)
	if v := k.IntOr("attention.value_length", a.HeadDim, 1, models.MaxDim); v != a.HeadDim {
		k.Fail("attention.value_length %d differs from attention.key_length %d", v, a.HeadDim)
	}
	a.Scale = float32(k.FloatOr("attention.scale", 0, 0, 1e6))
	return a
}
