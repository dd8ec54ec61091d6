package hf

import (
	"slices"

	"github.com/hipengine/hipengine/models"
)

// LFM 2: layers of a gated short convolution between few of attention, dense or with experts behind the first layers.

func init() {
	lfm2 := family{
		arch:   "lfm2",
		models: []string{"Lfm2ForCausalLM"},
		names:  names{norm: "embedding_norm", normTo: "token_embd_norm"}, // the latter is what llama.cpp's converter calls it
		keys: func(b *builder) {
			b.lfm2Keys()
			b.setInt("feed_forward_length", b.lfm2Width())
		},
		tensors: func(b *builder) {
			b.lfm2Layers()
			b.applyLayers(lfm2MLP)
		},
	}
	register(lfm2)
	lfm2.arch, lfm2.models = "lfm2moe", []string{"Lfm2MoeForCausalLM"}
	lfm2.keys = func(b *builder) {
		b.lfm2Keys()
		b.expertKeys()
		b.setInt("leading_dense_block_count", b.lfm2Dense())
		b.set("expert_gating_func", uint32(sigmoidGating))
		if !b.cfg.bool(true, "norm_topk_prob") {
			b.set("expert_weights_norm", false)
		}
		if s := b.factor("routed_scaling_factor"); s != 1 {
			b.setFloat("expert_weights_scale", s)
		}
	}
	lfm2.tensors = func(b *builder) {
		b.lfm2Layers()
		for i := range b.layers {
			from, to := b.layer(i)
			if i < b.lfm2Dense() {
				b.apply(from, to, lfm2MLP)
				continue
			}
			b.apply(from, to, join(router("feed_forward.gate"), selectionBias("feed_forward.expert_bias")))
			b.addExperts(from, to, b.experts(), expertForm{dir: "feed_forward.experts.", gate: "w1", up: "w3", down: "w2"})
		}
	}
	register(lfm2)
}

var lfm2MLP = join(linear("feed_forward.w1", "ffn_gate", nil), linear("feed_forward.w3", "ffn_up", nil),
	linear("feed_forward.w2", "ffn_down", nil))

// lfm2Dense returns the number of layers in front that have no experts.
func (b *builder) lfm2Dense() int { return b.cfg.intOr(0, 0, b.layers, "num_dense_layers") }

// lfm2Keys writes the keys of convolutions and heads.
func (b *builder) lfm2Keys() {
	b.kvHeadList(b.lfm2Attention())
	b.setInt("shortconv.l_cache", b.cfg.int(2, 64, "conv_L_cache"))
}

// lfm2Attention returns which layers have attention: those of layer_types, or of full_attn_idxs in older folders.
func (b *builder) lfm2Attention() func(layer int) bool {
	if types := b.layerTypes("conv", "full_attention"); types != nil {
		return func(i int) bool { return types[i] == "full_attention" }
	}
	if !b.cfg.has("full_attn_idxs") {
		b.cfg.fail("layer_types and full_attn_idxs are missing")
	}
	return b.listed("full_attn_idxs")
}

// listed returns which layers a list of config.json names.
func (b *builder) listed(name string) func(layer int) bool {
	list := b.cfg.floats(name)
	for _, i := range list {
		if i < 0 || i >= float64(b.layers) {
			b.cfg.fail("%s has %v, which is none of %d layers", name, i, b.layers)
		}
	}
	return func(i int) bool { return slices.Contains(list, float64(i)) }
}

// lfm2Width returns the width of the dense networks: two thirds of a number, with a factor, rounded up to a multiple,
// unless config.json says that it stands for itself.
func (b *builder) lfm2Width() int {
	c := b.cfg
	n := c.int(1, models.MaxDim, "block_ff_dim", "intermediate_size")
	if !c.bool(true, "block_auto_adjust_ff_dim") {
		return n
	}
	unit := c.intOr(256, 1, models.MaxDim, "block_multiple_of")
	n = int(b.factor("block_ffn_dim_multiplier") * float64(2*n/3))
	n = (n + unit - 1) / unit * unit
	if n < 1 || n > models.MaxDim {
		c.fail("feed-forward networks of width %d are outside 1..%d", n, models.MaxDim)
		return 1
	}
	return n
}

// lfm2Layers adds norms and mixers.
func (b *builder) lfm2Layers() {
	common := norms(nil, "operator_norm", "attn_norm", "ffn_norm", "ffn_norm")
	b.hybridLayers(b.lfm2Attention(),
		join(common, linear("self_attn.q_proj", "attn_q", nil), linear("self_attn.k_proj", "attn_k", nil),
			linear("self_attn.v_proj", "attn_v", nil), linear("self_attn.out_proj", "attn_output", nil),
			norms(nil, "self_attn.q_layernorm", "attn_q_norm", "self_attn.k_layernorm", "attn_k_norm")),
		join(common, linear("conv.in_proj", "shortconv.in_proj", nil), []rule{
			{from: "conv.conv.weight", to: "shortconv.conv.weight", change: squeezeConv},
			{from: "conv.conv.bias", to: "shortconv.conv.bias", optional: true},
		}, linear("conv.out_proj", "shortconv.out_proj", nil)))
}
