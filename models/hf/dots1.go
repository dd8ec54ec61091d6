package hf

import "github.com/hipengine/hipengine/models"

// dots.llm1: attention of Qwen 3 and mixtures of DeepSeek V3, without groups of experts.

func init() {
	register(family{
		arch:   "dots1",
		models: []string{"Dots1ForCausalLM"},
		keys: func(b *builder) {
			c := b.cfg
			b.expertKeys()
			b.setInt("expert_shared_count", c.intOr(0, 0, models.MaxExperts, "n_shared_experts"))
			b.setInt("leading_dense_block_count", c.intOr(0, 0, b.layers, "first_k_dense_replace"))
			b.setFloat("expert_weights_scale", c.floatOr(1, "routed_scaling_factor"))
			b.set("expert_weights_norm", c.bool(false, "norm_topk_prob"))
			b.set("expert_gating_func", uint32(sigmoidGating))
			if v := c.str("scoring_func"); v != "" && v != "sigmoid" && v != "noaux_tc" {
				c.fail("scoring_func %q is not sigmoid", clip(v))
			}
			if n := c.intOr(1, 1, models.MaxExperts, "n_group"); n != 1 {
				c.fail("n_group is %d: groups of experts have no key in architecture %q", n, b.arch)
			}
			b.layerTypes("full_attention") // windows have no key
		},
		tensors: func(b *builder) {
			dense := b.cfg.intOr(0, 0, b.layers, "first_k_dense_replace")
			for i := range b.layers {
				from, to := b.layer(i)
				b.apply(from, to, join(qwenAttention, headNorms(nil)))
				b.qwenFFN(from, to, b.experts(), gatedMLP("mlp.shared_experts", "_shexp"), i < dense)
				if i >= dense {
					b.apply(from, to, selectionBias("mlp.gate.e_score_correction_bias"))
				}
			}
		},
	})
}
