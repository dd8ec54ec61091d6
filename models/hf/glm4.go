package hf

import "github.com/hipengine/hipengine/models"

// GLM-4 of April 2025: norms before and after each half of a layer, gate and up in one projection, and half of each
// head rotates. Its rotary pairs are neighbours already. GLM-4.5 to 4.7 are mixtures of experts with plain norms, whose
// rotary pairs are not.

func init() {
	register(family{
		arch:   "glm4",
		models: []string{"Glm4ForCausalLM"},
		keys: func(b *builder) {
			b.setInt("rope.dimension_count", b.rope("full_attention").rotated(b.headDim))
		},
		tensors: func(b *builder) {
			b.applyLayers(join(
				norms(nil, "input_layernorm", "attn_norm", "post_self_attn_layernorm", "post_attention_norm",
					"post_attention_layernorm", "ffn_norm", "post_mlp_layernorm", "post_ffw_norm"),
				qkvo(nil, nil),
				linear("mlp.gate_up_proj", "ffn_up", nil), linear("mlp.down_proj", "ffn_down", nil),
			))
		},
	})
	register(family{
		arch:   "glm4moe",
		models: []string{"Glm4MoeForCausalLM"},
		keys: func(b *builder) {
			c := b.cfg
			b.setInt("rope.dimension_count", b.rope("full_attention").rotated(b.headDim))
			b.expertKeys()
			b.setInt("expert_shared_count", c.intOr(1, 0, models.MaxExperts, "n_shared_experts"))
			b.setInt("leading_dense_block_count", c.intOr(0, 0, b.layers, "first_k_dense_replace"))
			b.set("expert_gating_func", uint32(sigmoidGating))
			b.setFloat("expert_weights_scale", c.floatOr(1, "routed_scaling_factor"))
			b.set("expert_weights_norm", c.bool(true, "norm_topk_prob"))
			if n := c.intOr(1, 1, models.MaxExperts, "n_group"); n != 1 {
				c.fail("n_group is %d: groups of experts have no key in architecture %q", n, b.arch)
			}
		},
		tensors: func(b *builder) {
			rules := join(
				norms(nil, "input_layernorm", "attn_norm", "post_attention_layernorm", "post_attention_norm"),
				qkvo(nil, nil),
			)
			if b.cfg.bool(false, "use_qk_norm") {
				rules = join(rules, headNorms(nil))
			}
			dense := b.cfg.intOr(0, 0, b.layers, "first_k_dense_replace")
			for i := range b.layers {
				from, to := b.layer(i)
				b.apply(from, to, rules)
				b.qwenFFN(from, to, b.experts(), gatedMLP("mlp.shared_experts", "_shexp"), i < dense)
				if i >= dense {
					b.apply(from, to, selectionBias("mlp.gate.e_score_correction_bias"))
				}
			}
			b.skipDrafts()
		},
	})
}
