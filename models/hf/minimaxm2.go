package hf

import "github.com/hipengine/hipengine/models"

// MiniMax M2: experts under Mixtral's names, and queries and keys that are normed as a whole.

func init() {
	register(family{
		arch:   "minimax-m2",
		models: []string{"MiniMaxM2ForCausalLM"},
		keys: func(b *builder) {
			c := b.cfg
			b.setInt("rope.dimension_count",
				c.intOr(b.rope("full_attention").rotated(b.headDim), 2, b.headDim, "rotary_dim"))
			b.setInt("expert_feed_forward_length", c.int(1, models.MaxDim, "intermediate_size"))
			b.set("expert_gating_func", uint32(sigmoidGating))
			if v := c.str("scoring_func"); v != "" && v != "sigmoid" {
				c.fail("scoring_func %q is not sigmoid", clip(v))
			}
		},
		tensors: func(b *builder) {
			for i := range b.layers {
				from, to := b.layer(i)
				b.apply(from, to, join(qwenAttention, headNorms(nil), router("block_sparse_moe.gate"),
					selectionBias("block_sparse_moe.e_score_correction_bias")))
				b.addExperts(from, to, b.experts(), mixtralExperts)
			}
		},
	})
}
