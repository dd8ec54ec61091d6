package hf

import (
	"strings"

	"github.com/hipengine/hipengine/models"
)

// Ernie 4.5, dense and mixture of experts. Rotary pairs are neighbours already.

func init() {
	register(family{
		arch:    "ernie4_5",
		models:  []string{"Ernie4_5ForCausalLM", "Ernie4_5_ForCausalLM"},
		tensors: func(b *builder) { b.applyLayers(join(qwenAttention, gatedMLP("mlp", ""))) },
	})
	register(family{
		arch:   "ernie4_5-moe",
		models: []string{"Ernie4_5_MoeForCausalLM"},
		keys: func(b *builder) {
			c := b.cfg
			n := c.int(1, models.MaxExperts, "moe_num_experts")
			b.setInt("expert_count", n)
			b.setInt("expert_used_count", c.int(1, n, "moe_k"))
			b.setInt("interleave_moe_layer_step", c.intOr(1, 1, models.MaxLayers, "moe_layer_interval"))
			b.setInt("leading_dense_block_count", c.intOr(0, 0, b.layers, "moe_layer_start_index"))
			width := c.int(1, models.MaxDim, "moe_intermediate_size")
			b.setInt("expert_feed_forward_length", width)
			if shared := c.intOr(0, 0, models.MaxExperts, "moe_num_shared_experts"); shared > 0 {
				b.setInt("expert_shared_count", shared)
				b.setInt("expert_shared_feed_forward_length", shared*width)
			}
			if last := c.intOr(-1, -1, models.MaxLayers, "moe_layer_end_index"); last >= 0 && last < b.layers-1 {
				c.fail("moe_layer_end_index %d leaves dense layers behind the sparse ones", last)
			}
		},
		tensors: func(b *builder) {
			n, dense := b.cfg.int(1, models.MaxExperts, "moe_num_experts"),
				b.cfg.intOr(0, 0, b.layers, "moe_layer_start_index")
			for i := range b.layers {
				from, to := b.layer(i)
				b.apply(from, to, qwenAttention)
				if b.qwenFFN(from, to, n, gatedMLP("mlp.shared_experts", "_shexp"), i < dense); i >= dense {
					b.apply(from, to, selectionBias("mlp.moe_statics.e_score_correction_bias"))
				}
			}
			for name := range b.stored { // multi-token prediction, of which files of GGUF have nothing
				if strings.HasPrefix(name, b.prefix+"mtp_") {
					b.used[name] = true
				}
			}
		},
	})
}
