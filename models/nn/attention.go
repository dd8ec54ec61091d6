package nn

import (
	"fmt"
	"math"

	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/models/kv"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// Attention is causal self-attention with grouped queries over the paged KV cache. Its projections may have
// biases; files may fuse those of q, k and v into attn_qkv.
type Attention struct {
	Embd, Heads, KVHeads, HeadDim int

	RoPE    *RoPE   // nil: no rotation
	QKNorm  bool    // RMSNorm of each head of q and k before the rotation: attn_q_norm, attn_k_norm
	Eps     float32 // of QKNorm
	QKVBias bool    // the biases of q, k and v must be there
	Gated   bool    // attn_q holds query and gate of each head; the output is multiplied by sigmoid(gate)

	Scale   float32 // on the dot products; 0: 1/sqrt(HeadDim)
	Softcap float32 // of the scores; 0: none
	Window  int     // a query at p sees keys at p-Window+1..p; 0: all
	Sinks   bool    // attn_sinks.weight: a logit per head that joins the softmax without a value
}

// qDim is the number of rows of attn_q.
func (a *Attention) qDim() int {
	if a.Gated {
		return 2 * a.Heads * a.HeadDim
	}
	return a.Heads * a.HeadDim
}

// Specs adds the projections, the norms and the sinks.
func (a *Attention) Specs(s *Specs) {
	q, kv := a.qDim(), a.KVHeads*a.HeadDim
	all := q + 2*kv
	s.linear("attn_q", part{"attn_qkv", 0, all}, a.QKVBias, tensor.Shape{q, a.Embd})
	s.linear("attn_k", part{"attn_qkv", q, all}, a.QKVBias, tensor.Shape{kv, a.Embd})
	s.linear("attn_v", part{"attn_qkv", q + kv, all}, a.QKVBias, tensor.Shape{kv, a.Embd})
	s.Linear("attn_output", a.Embd, a.Heads*a.HeadDim)
	if a.QKNorm {
		s.Norm("attn_q_norm", a.HeadDim)
		s.Norm("attn_k_norm", a.HeadDim)
	}
	if a.Sinks {
		s.Vector("attn_sinks.weight", a.Heads)
	}
}

// State lists the keys and values of the layer.
func (a *Attention) State(layer int) kv.Spec {
	return kv.Spec{Paged: []kv.Paged{
		{Name: fmt.Sprintf("blk.%d.k", layer), Heads: a.KVHeads, Dim: a.HeadDim},
		{Name: fmt.Sprintf("blk.%d.v", layer), Heads: a.KVHeads, Dim: a.HeadDim},
	}}
}

// Build records the attention of x, [tokens, n_embd]. Keys are cached after norm and rotation.
func (a *Attention) Build(g *ops.Graph, w models.Weights, b models.Batch, layer int, x ops.Value) ops.Value {
	tokens := x.Shape().Rows()
	var gate ops.Value
	q := ops.Reshape(g, Linear(g, w, "attn_q", x), tokens, a.Heads, a.qDim()/a.Heads)
	if a.Gated {
		q, gate = ops.Slice(g, q, 0, a.HeadDim), ops.Slice(g, q, a.HeadDim, 2*a.HeadDim)
	}
	k := ops.Reshape(g, Linear(g, w, "attn_k", x), tokens, a.KVHeads, a.HeadDim)
	v := ops.Reshape(g, Linear(g, w, "attn_v", x), tokens, a.KVHeads, a.HeadDim)
	if a.QKNorm {
		q = RMSNorm(g, w, "attn_q_norm", q, a.Eps)
		k = RMSNorm(g, w, "attn_k_norm", k, a.Eps)
	}
	if a.RoPE != nil {
		q = a.RoPE.Apply(g, w, b, q)
		k = a.RoPE.Apply(g, w, b, k)
	}
	var sinks ops.Value
	if a.Sinks {
		sinks = w.Get(g, "attn_sinks.weight")
	}
	attrs := ops.AttentionAttrs{Scale: a.Scale, Softcap: a.Softcap, Window: a.Window}
	if attrs.Scale == 0 {
		attrs.Scale = float32(1 / math.Sqrt(float64(a.HeadDim)))
	}
	keys := ops.KVAppend(g, b.State(g, fmt.Sprintf("blk.%d.k", layer)), k, b.Pos, b.Seq, b.Pages)
	values := ops.KVAppend(g, b.State(g, fmt.Sprintf("blk.%d.v", layer)), v, b.Pos, b.Seq, b.Pages)
	o := ops.Attention(g, q, keys, values, b.Pos, b.Seq, b.Pages, sinks, attrs)
	if a.Gated {
		o = ops.Mul(g, o, ops.Sigmoid(g, gate))
	}
	return Linear(g, w, "attn_output", ops.Reshape(g, o, tokens, a.Heads*a.HeadDim))
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
