package qwen35

import (
	"fmt"
	"math"

	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/models/kv"
	"github.com/hipengine/hipengine/models/nn"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

func init() { models.Register("qwen35", parse) }

// model holds the hyper-parameters under the names of the glossary.
type model struct {
	models.Hparams
	ff       int
	interval int // every interval-th layer is full attention
	eps      float32

	heads, kvHeads, headDim int
	nRot                    int
	ropeBase                float64

	keyHeads, valueHeads, stateDim, conv int // gated DeltaNet: dk = dv = stateDim
}

func parse(meta *gguf.Meta) (models.Model, error) {
	k := models.NewKeys(meta)
	m := &model{}
	m.Arch, m.Vocab = k.Arch, k.Vocab()
	// Draft layers for speculation stand behind the layers that a step runs.
	m.Layers = k.Int("block_count", 1, models.MaxLayers) - k.IntOr("nextn_predict_layers", 0, 0, 8)
	m.Embd = k.Int("embedding_length", 1, models.MaxDim)
	m.Context = k.Int("context_length", 1, models.MaxContext)
	m.ff = k.Int("feed_forward_length", 1, models.MaxDim)
	m.interval = k.IntOr("full_attention_interval", 4, 1, models.MaxLayers)
	m.eps = float32(k.Float("attention.layer_norm_rms_epsilon"))
	m.heads = k.Int("attention.head_count", 1, models.MaxHeads)
	m.kvHeads = k.Int("attention.head_count_kv", 1, m.heads)
	m.headDim = k.IntOr("attention.key_length", m.Embd/m.heads, 1, models.MaxDim)
	if v := k.IntOr("attention.value_length", m.headDim, 1, models.MaxDim); v != m.headDim {
		k.Fail("value_length %d differs from key_length %d", v, m.headDim)
	}
	m.nRot = k.IntOr("rope.dimension_count", m.headDim, 2, m.headDim)
	m.ropeBase = k.FloatOr("rope.freq_base", 10000)
	m.keyHeads = k.Int("ssm.group_count", 1, models.MaxHeads)
	m.valueHeads = k.Int("ssm.time_step_rank", 1, models.MaxHeads)
	m.stateDim = k.Int("ssm.state_size", 1, models.MaxDim)
	m.conv = k.Int("ssm.conv_kernel", 2, 64)
	if inner := k.Int("ssm.inner_size", 1, models.MaxDim); inner != m.valueHeads*m.stateDim {
		k.Fail("ssm.inner_size %d is not ssm.time_step_rank %d times ssm.state_size %d", inner, m.valueHeads, m.stateDim)
	}
	if m.Layers < 1 || m.heads%m.kvHeads != 0 || m.valueHeads%m.keyHeads != 0 || m.nRot%2 != 0 {
		k.Fail("layers %d, heads %d over %d, DeltaNet heads %d over %d, rotated dimensions %d do not fit together",
			m.Layers, m.heads, m.kvHeads, m.valueHeads, m.keyHeads, m.nRot)
	}
	return m, k.Err()
}

// Params returns the common hyper-parameters.
func (m *model) Params() models.Hparams { return m.Hparams }

// fullAttention reports whether layer i is gated attention rather than gated DeltaNet.
func (m *model) fullAttention(i int) bool { return (i+1)%m.interval == 0 }

// keyDim, valueDim and convDim are the widths of the DeltaNet projections: q and k each, v, and all three.
func (m *model) keyDim() int   { return m.keyHeads * m.stateDim }
func (m *model) valueDim() int { return m.valueHeads * m.stateDim }
func (m *model) convDim() int  { return 2*m.keyDim() + m.valueDim() }

// Weights lists the tensors of the architecture.
func (m *model) Weights() []models.WeightSpec {
	ws := []models.WeightSpec{
		{Name: "token_embd.weight", Shape: tensor.Shape{m.Vocab, m.Embd}},
		{Name: "output_norm.weight", Shape: tensor.Shape{m.Embd}, Vector: true},
		{Name: "output.weight", Shape: tensor.Shape{m.Vocab, m.Embd}, Optional: true},
		nn.RoPEFreqs(nn.RoPEName, m.nRot, m.ropeBase),
	}
	for i := range m.Layers {
		matrix := func(name string, out, in int) {
			ws = append(ws, models.WeightSpec{Name: fmt.Sprintf("blk.%d.%s.weight", i, name), Shape: tensor.Shape{out, in}})
		}
		vector := func(name string, shape ...int) {
			ws = append(ws, models.WeightSpec{Name: fmt.Sprintf("blk.%d.%s", i, name), Shape: shape, Vector: true})
		}
		vector("attn_norm.weight", m.Embd)
		vector("post_attention_norm.weight", m.Embd)
		if m.fullAttention(i) {
			matrix("attn_q", 2*m.heads*m.headDim, m.Embd)
			matrix("attn_k", m.kvHeads*m.headDim, m.Embd)
			matrix("attn_v", m.kvHeads*m.headDim, m.Embd)
			matrix("attn_output", m.Embd, m.heads*m.headDim)
			vector("attn_q_norm.weight", m.headDim)
			vector("attn_k_norm.weight", m.headDim)
		} else {
			matrix("attn_qkv", m.convDim(), m.Embd)
			matrix("attn_gate", m.valueDim(), m.Embd)
			matrix("ssm_alpha", m.valueHeads, m.Embd)
			matrix("ssm_beta", m.valueHeads, m.Embd)
			matrix("ssm_out", m.Embd, m.valueDim())
			vector("ssm_conv1d.weight", m.convDim(), m.conv)
			vector("ssm_dt.bias", m.valueHeads)
			ws[len(ws)-1].Alt = []string{fmt.Sprintf("blk.%d.ssm_dt", i)}
			vector("ssm_a", m.valueHeads)
			vector("ssm_norm.weight", m.stateDim)
		}
		matrix("ffn_gate", m.ff, m.Embd)
		matrix("ffn_up", m.ff, m.Embd)
		matrix("ffn_down", m.Embd, m.ff)
	}
	return ws
}

// State lists keys and values of the attention layers, convolution window and DeltaNet matrix of the others.
func (m *model) State() kv.Spec {
	var s kv.Spec
	for i := range m.Layers {
		if m.fullAttention(i) {
			s.Paged = append(s.Paged,
				kv.Paged{Name: fmt.Sprintf("blk.%d.k", i), Heads: m.kvHeads, Dim: m.headDim},
				kv.Paged{Name: fmt.Sprintf("blk.%d.v", i), Heads: m.kvHeads, Dim: m.headDim})
		} else {
			s.Slots = append(s.Slots,
				kv.Slot{Name: fmt.Sprintf("blk.%d.conv", i), Shape: tensor.Shape{m.conv - 1, m.convDim()}},
				kv.Slot{Name: fmt.Sprintf("blk.%d.delta", i), Shape: tensor.Shape{m.valueHeads, m.stateDim, m.stateDim}})
		}
	}
	return s
}

// Build records one step: pre-norm blocks with the residual added after each half. post_attention_norm is the
// norm in front of the feed-forward block.
func (m *model) Build(g *ops.Graph, w models.Weights, b models.Batch) ops.Value {
	h := ops.Embed(g, w.Get(g, "token_embd.weight"), b.Tokens)
	freqs := w.Get(g, nn.RoPEName)
	for i := range m.Layers {
		l := w.Layer(i)
		x := nn.RMSNorm(g, l, "attn_norm", h, m.eps)
		if m.fullAttention(i) {
			x = m.attention(g, l, b, i, x, freqs)
		} else {
			x = m.deltaNet(g, l, b, i, x)
		}
		h = ops.Add(g, h, x)
		h = ops.Add(g, h, nn.SwiGLU(g, l, nn.RMSNorm(g, l, "post_attention_norm", h, m.eps)))
	}
	return nn.Logits(g, w, b, h, m.eps)
}

// attention is full attention whose output is gated by a sigmoid. attn_q holds, head by head, the query and the
// gate. x: [tokens, n_embd].
func (m *model) attention(g *ops.Graph, w models.Weights, b models.Batch, layer int, x, freqs ops.Value) ops.Value {
	tokens := x.Shape().Rows()
	rope := ops.RoPEAttrs{NRot: m.nRot, Pairing: ops.NeoX, MScale: 1}

	qg := ops.Reshape(g, nn.Linear(g, w, "attn_q", x), tokens, m.heads, 2*m.headDim)
	q, gate := ops.Slice(g, qg, 0, m.headDim), ops.Slice(g, qg, m.headDim, 2*m.headDim)
	k := ops.Reshape(g, nn.Linear(g, w, "attn_k", x), tokens, m.kvHeads, m.headDim)
	v := ops.Reshape(g, nn.Linear(g, w, "attn_v", x), tokens, m.kvHeads, m.headDim)
	q = ops.RoPE(g, nn.RMSNorm(g, w, "attn_q_norm", q, m.eps), b.Pos, freqs, rope)
	k = ops.RoPE(g, nn.RMSNorm(g, w, "attn_k_norm", k, m.eps), b.Pos, freqs, rope)

	keys := ops.KVAppend(g, b.State(g, fmt.Sprintf("blk.%d.k", layer)), k, b.Pos, b.Seq, b.Pages)
	values := ops.KVAppend(g, b.State(g, fmt.Sprintf("blk.%d.v", layer)), v, b.Pos, b.Seq, b.Pages)
	o := ops.Attention(g, q, keys, values, b.Pos, b.Seq, b.Pages, ops.Value{},
		ops.AttentionAttrs{Scale: float32(1 / math.Sqrt(float64(m.headDim)))})
	o = ops.Mul(g, o, ops.Sigmoid(g, gate))
	return nn.Linear(g, w, "attn_output", ops.Reshape(g, o, tokens, m.heads*m.headDim))
}

// deltaNet is the gated DeltaNet mixer: short convolution and SiLU over q, k and v, unit-length q and k, the gated
// delta rule, then a norm gated by SiLU(z). ssm_a holds -exp(A). x: [tokens, n_embd].
func (m *model) deltaNet(g *ops.Graph, w models.Weights, b models.Batch, layer int, x ops.Value) ops.Value {
	tokens := x.Shape().Rows()

	mixed := nn.Linear(g, w, "attn_qkv", x)
	mixed, _ = ops.CausalConv(g, mixed, b.State(g, fmt.Sprintf("blk.%d.conv", layer)), w.Get(g, "ssm_conv1d.weight"), b.Starts, b.Slots)
	mixed = ops.SiLU(g, mixed)
	part := func(lo, heads int) ops.Value {
		return ops.Reshape(g, ops.Slice(g, mixed, lo, lo+heads*m.stateDim), tokens, heads, m.stateDim)
	}
	q := ops.L2Norm(g, part(0, m.keyHeads), m.eps)
	k := ops.L2Norm(g, part(m.keyDim(), m.keyHeads), m.eps)
	v := part(2*m.keyDim(), m.valueHeads)

	beta := ops.Sigmoid(g, nn.Linear(g, w, "ssm_beta", x))
	decay := ops.Softplus(g, ops.Add(g, nn.Linear(g, w, "ssm_alpha", x), w.Get(g, "ssm_dt.bias")))
	decay = ops.Mul(g, decay, w.Get(g, "ssm_a"))
	o, _ := ops.GatedDeltaNet(g, q, k, v, decay, beta, b.State(g, fmt.Sprintf("blk.%d.delta", layer)), b.Starts, b.Slots,
		ops.GatedDeltaNetAttrs{Scale: float32(1 / math.Sqrt(float64(m.stateDim))), Tiled: true})

	z := ops.Reshape(g, nn.Linear(g, w, "attn_gate", x), tokens, m.valueHeads, m.stateDim)
	o = ops.Mul(g, nn.RMSNorm(g, w, "ssm_norm", o, m.eps), ops.SiLU(g, z))
	return nn.Linear(g, w, "ssm_out", ops.Reshape(g, o, tokens, m.valueDim()))
}
