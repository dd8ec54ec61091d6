package hf

import (
	"slices"

	"github.com/hipengine/hipengine/models"
)

// Granite 4: layers of Mamba 2 between few of attention, dense or with experts beside a shared one, gate and up in one
// projection. Folders with attention alone are models of Granite 3, whose mixtures have classes of their own. Bamba is
// the same without factors and experts, with rotation of a part of each head.

func init() {
	attention := family{arch: "granite", keys: graniteAttentionKeys, tensors: func(b *builder) {
		b.llama3Factors(b.headDim)
		b.applyLayers(b.graniteRules(true))
	}}
	experts, hybrid := attention, family{arch: "granitehybrid", keys: graniteHybridKeys, tensors: graniteHybridTensors}
	experts.arch = "granitemoe"
	register(family{
		models: []string{"GraniteMoeHybridForCausalLM"},
		variant: func(c *config) family {
			switch {
			case slices.ContainsFunc(c.strs("layer_types"), isMamba):
				return hybrid
			case c.intOr(0, 0, models.MaxExperts, "num_local_experts") > 0:
				return experts
			}
			return attention
		},
	})
	experts.models = []string{"GraniteMoeForCausalLM", "GraniteMoeSharedForCausalLM"}
	experts.keys = func(b *builder) {
		graniteKeys(b)
		b.graniteWidths()
	}
	register(experts)
	register(family{
		arch:   "granitehybrid",
		models: []string{"BambaForCausalLM"},
		names:  names{norm: "final_layernorm"},
		keys: func(b *builder) {
			b.set("rope.scaling.finetuned", true)
			b.setInt("rope.dimension_count", b.bambaRotated())
			b.kvHeadList(b.listed("attn_layer_indices"))
			b.ssmKeys(b.mamba2())
		},
		tensors: func(b *builder) {
			attention, n := b.listed("attn_layer_indices"), b.bambaRotated()
			common := join(norms(nil, "input_layernorm", "attn_norm", "pre_ff_layernorm", "ffn_norm"),
				gatedMLP("feed_forward", ""))
			b.hybridLayers(attention, join(common, qkvo(permutedTo(n), permutedTo(n))),
				join(common, b.mamba2().rules("mamba")))
		},
	})
}

func isMamba(layerType string) bool { return layerType == "mamba" || layerType == "linear_attention" }

// hybridLayers applies rules to layers with attention, and others to those without.
func (b *builder) hybridLayers(attention func(layer int) bool, with, without []rule) {
	for i := range b.layers {
		from, to := b.layer(i)
		if attention(i) {
			b.apply(from, to, with)
		} else {
			b.apply(from, to, without)
		}
	}
}

// bambaRotated returns how many elements of a head rotate.
func (b *builder) bambaRotated() int {
	if b.cfg.has("attn_rotary_emb") {
		return b.cfg.int(2, b.headDim, "attn_rotary_emb") &^ 1
	}
	return b.rope("full_attention").rotated(b.headDim)
}

// graniteAttentionKeys are the keys of folders with attention alone.
func graniteAttentionKeys(b *builder) {
	b.graniteLayerTypes()
	if v := b.cfg.str("position_embedding_type"); v != "rope" {
		b.cfg.fail("position_embedding_type %q is not rope", clip(v))
	}
	graniteKeys(b)
	b.graniteWidths()
}

// graniteWidths writes the widths of the feed-forward networks.
func (b *builder) graniteWidths() {
	shared := b.cfg.intOr(0, 0, models.MaxDim, "shared_intermediate_size")
	switch {
	case b.experts() == 0:
		b.setInt("feed_forward_length", b.cfg.int(1, models.MaxDim, "shared_intermediate_size"))
	case shared > 0:
		b.setInt("expert_shared_feed_forward_length", shared)
	}
}

// graniteLayerTypes returns the kind of each layer.
func (b *builder) graniteLayerTypes() []string {
	return b.layerTypes("attention", "full_attention", "mamba", "linear_attention")
}

func graniteHybridKeys(b *builder) {
	graniteKeys(b)
	b.graniteWidths()
	switch v := b.cfg.str("position_embedding_type"); v {
	case "", "nope":
		b.set("rope.scaling.finetuned", false)
	case "rope":
		b.set("rope.scaling.finetuned", true)
	default:
		b.cfg.fail("position_embedding_type %q is neither rope nor nope", clip(v))
	}
	b.kvHeadList(b.graniteAttention())
	b.ssmKeys(b.mamba2())
}

// graniteAttention returns which layers have attention.
func (b *builder) graniteAttention() func(layer int) bool {
	types := b.graniteLayerTypes()
	return func(i int) bool { return i < len(types) && !isMamba(types[i]) }
}

func graniteHybridTensors(b *builder) {
	b.llama3Factors(b.headDim)
	b.hybridLayers(b.graniteAttention(), b.graniteRules(true),
		join(b.graniteRules(false), b.mamba2().rules("mamba")))
}

// graniteRules are the rules of norms and feed-forward networks, and of attention where there is one.
func (b *builder) graniteRules(attention bool) []rule {
	rules := norms(nil, "input_layernorm", "attn_norm", "post_attention_layernorm", "ffn_norm")
	if attention {
		rules = join(rules, qkvo(permuted, permuted))
	}
	suffix, shared := "", true
	if b.experts() > 0 {
		suffix, shared = "_shexp", b.cfg.intOr(0, 0, models.MaxDim, "shared_intermediate_size") > 0
		const experts = "block_sparse_moe."
		rules = join(rules, router(experts+"router.layer"), []rule{
			{from: experts + "input_linear.weight", to: "ffn_gate_exps.weight", change: expertHalf(0)},
			{from: experts + "input_linear.weight", to: "ffn_up_exps.weight", change: expertHalf(1)},
			{from: experts + "output_linear.weight", to: "ffn_down_exps.weight"},
		})
	}
	if shared {
		rules = join(rules, []rule{
			{from: "shared_mlp.input_linear.weight", to: "ffn_gate" + suffix + ".weight", change: half(0)},
			{from: "shared_mlp.input_linear.weight", to: "ffn_up" + suffix + ".weight", change: half(1)},
			{from: "shared_mlp.output_linear.weight", to: "ffn_down" + suffix + ".weight"},
		})
	}
	return rules
}

// half is the transform of one of two matrices that are stored in one, rows of the first before those of the second.
func half(i int) transform {
	return func(b *builder, w weight) weight {
		if w.shape[0]%2 != 0 {
			b.fail("tensor %q has %d rows, which are not two halves", w.name, w.shape[0])
			return w
		}
		n := w.shape[0] / 2
		w.shape = append([]int{n}, w.shape[1:]...)
		w.matrix = w.pick(n, func(r int) int { return i*n + r })
		return w
	}
}
