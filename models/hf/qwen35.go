package hf

import (
	"fmt"

	"github.com/hipengine/hipengine/models"
)

// Qwen 3.5 and 3.6, dense and mixture of experts: gated DeltaNet layers and gated attention. Norms are zero-centred
// but for that of the DeltaNet. Files of GGUF want the value heads in another order, so that a head's key head is its
// number modulo theirs. Layers for speculation (mtp.*) become blocks behind the others.

func init() {
	for _, f := range []family{
		{arch: "qwen35", models: []string{"Qwen3_5ForCausalLM", "Qwen3_5ForConditionalGeneration"}},
		{arch: "qwen35moe", models: []string{"Qwen3_5MoeForCausalLM", "Qwen3_5MoeForConditionalGeneration"}},
	} {
		f.norm = addOne
		f.drafts = mtpLayers
		f.keys = func(b *builder) {
			b.sectionKeys()
			b.deltaNetKeys()
		}
		f.tensors = qwen35Tensors
		register(f)
	}
}

// deltaNet holds the sizes of gated DeltaNet layers.
type deltaNet struct{ keyHeads, valueHeads, keyDim, valueDim int }

func (b *builder) deltaNet() deltaNet {
	c := b.cfg
	d := deltaNet{
		keyHeads:   c.int(1, models.MaxHeads, "linear_num_key_heads"),
		valueHeads: c.int(1, models.MaxHeads, "linear_num_value_heads"),
		keyDim:     c.int(1, models.MaxDim, "linear_key_head_dim"),
		valueDim:   c.int(1, models.MaxDim, "linear_value_head_dim"),
	}
	if d.valueHeads%d.keyHeads != 0 {
		c.fail("linear_num_value_heads %d is not a multiple of linear_num_key_heads %d", d.valueHeads, d.keyHeads)
		d.valueHeads = d.keyHeads
	}
	if d.valueHeads*d.valueDim > models.MaxDim || d.keyHeads*d.keyDim > models.MaxDim {
		c.fail("linear attention of %d heads of %d is wider than %d", d.valueHeads, d.valueDim, models.MaxDim)
	}
	return d
}

// deltaNetKeys writes the keys of gated DeltaNet, of the attention beside it, and of layers for speculation.
func (b *builder) deltaNetKeys() {
	c, d := b.cfg, b.deltaNet()
	if !c.has("head_dim") {
		b.setInt("attention.key_length", b.headDim)
		b.setInt("attention.value_length", b.headDim)
	}
	b.expertKeys()
	b.setInt("ssm.conv_kernel", c.int(2, 64, "linear_conv_kernel_dim"))
	b.setInt("ssm.state_size", d.keyDim)
	b.setInt("ssm.group_count", d.keyHeads)
	b.setInt("ssm.time_step_rank", d.valueHeads)
	b.setInt("ssm.inner_size", d.valueDim*d.valueHeads)
	b.setInt("full_attention_interval", b.attentionInterval())
	b.setInt("rope.dimension_count", b.rope("full_attention").rotated(b.headDim))
	if b.draft > 0 {
		b.setInt("nextn_predict_layers", b.draft)
	}
}

// attentionInterval returns n where each n-th layer is full attention, as layer_types must say too.
func (b *builder) attentionInterval() int {
	types := b.layerTypes("linear_attention", "full_attention")
	n := b.cfg.intOr(0, 1, models.MaxLayers, "full_attention_interval")
	for i, t := range types {
		if n == 0 && t == "full_attention" {
			n = i + 1
		}
	}
	if n == 0 {
		n = 4
	}
	for i, t := range types {
		if (t == "full_attention") != ((i+1)%n == 0) {
			b.cfg.fail("layer_types of layer %d is %s, but each layer number %d is full attention", i, t, n)
			break
		}
	}
	return n
}

func qwen35Tensors(b *builder) {
	n, d := b.attentionInterval(), b.deltaNet()
	common := norms(addOne, "input_layernorm", "attn_norm", "post_attention_layernorm", "post_attention_norm")
	attention := join(common, qkvo(nil, nil), headNorms(addOne))
	linear := join(common, d.tiledRules())
	experts := b.experts()
	for i := range b.layers {
		from, to := b.layer(i)
		if (i+1)%n == 0 {
			b.apply(from, to, attention)
		} else {
			b.apply(from, to, linear)
		}
		b.qwenFFN(from, to, experts, sharedExpert, experts == 0)
	}
	b.mtpTensors(attention, experts)
}

// mtpLayers is the number of layers for multi-token prediction of a folder.
func mtpLayers(b *builder) int {
	if !b.has("mtp.fc.weight") {
		return 0
	}
	return b.cfg.intOr(1, 1, 8, "mtp_num_hidden_layers")
}

// mtpTensors adds these layers, each of which is like one with attention.
func (b *builder) mtpTensors(attention []rule, experts int) {
	for i := range b.draft {
		from, to := fmt.Sprintf("mtp.layers.%d.", i), fmt.Sprintf("blk.%d.", b.layers+i)
		b.apply(from, to, attention)
		b.qwenFFN(from, to, experts, sharedExpert, experts == 0)
	}
	if b.draft > 0 {
		to := fmt.Sprintf("blk.%d.nextn.", b.layers)
		b.apply("mtp.", to, join([]rule{
			{from: "fc.weight", to: "eh_proj.weight"},
			{from: "embed_tokens.weight", to: "embed_tokens.weight", optional: true},
			{from: "lm_head.weight", to: "shared_head_head.weight", optional: true},
		}, norms(addOne, "pre_fc_norm_embedding", "enorm", "pre_fc_norm_hidden", "hnorm", "norm", "shared_head_norm")))
	}
}

// tiledRules are the rules of a DeltaNet layer whose value heads change places.
func (d deltaNet) tiledRules() []rule {
	heads := retile(d.keyHeads, d.valueHeads)
	values := grouped(d.valueDim, heads)
	keys := 2 * d.keyHeads * d.keyDim
	mixed := func(i int) int { // rows of q, k and v
		if i < keys {
			return i
		}
		return keys + values(i-keys)
	}
	rows := func(n int, at func(int) int) transform {
		return func(b *builder, w weight) weight {
			if w.shape[0] != n {
				b.fail("tensor %q has shape %v, the configuration wants %d rows", w.name, w.shape, n)
				return w
			}
			w.matrix = reorder(w.matrix, at)
			return w
		}
	}
	n := d.valueHeads * d.valueDim
	return []rule{
		{from: "linear_attn.in_proj_qkv.weight", to: "attn_qkv.weight", change: rows(keys+n, mixed)},
		{from: "linear_attn.in_proj_z.weight", to: "attn_gate.weight", change: rows(n, values)},
		{from: "linear_attn.in_proj_a.weight", to: "ssm_alpha.weight", change: rows(d.valueHeads, heads)},
		{from: "linear_attn.in_proj_b.weight", to: "ssm_beta.weight", change: rows(d.valueHeads, heads)},
		{from: "linear_attn.conv1d.weight", to: "ssm_conv1d.weight", change: func(b *builder, w weight) weight {
			return squeezeConv(b, rows(keys+n, mixed)(b, w))
		}},
		{from: "linear_attn.A_log", to: "ssm_a", change: func(b *builder, w weight) weight {
			w = rows(d.valueHeads, heads)(b, w)
			w.matrix = w.float(negExp)
			return w
		}},
		{from: "linear_attn.dt_bias", to: "ssm_dt.bias", change: rows(d.valueHeads, heads)},
		{from: "linear_attn.norm.weight", to: "ssm_norm.weight"},
		{from: "linear_attn.out_proj.weight", to: "ssm_out.weight", change: func(b *builder, w weight) weight {
			if len(w.shape) != 2 || w.shape[1] != n {
				b.fail("tensor %q has shape %v, the configuration wants %d columns", w.name, w.shape, n)
				return w
			}
			w.matrix = w.pickColumns(d.valueDim, heads)
			return w
		}},
	}
}

// squeezeConv turns a depth-wise kernel [channels, 1, width] into [channels, width].
func squeezeConv(b *builder, w weight) weight {
	if len(w.shape) == 3 && w.shape[1] == 1 {
		w.shape = []int{w.shape[0], w.shape[2]}
	} else if len(w.shape) != 2 {
		b.fail("tensor %q has shape %v, want [channels, 1, width]", w.name, w.shape)
	}
	return w
}
