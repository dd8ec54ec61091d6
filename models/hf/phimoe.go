package hf

import "github.com/hipengine/hipengine/models"

// Phi-3.5-MoE: layer normalization whose epsilon is called that of RMSNorm, in config.json and in GGUF, and experts
// under Mixtral's names.

func init() {
	register(family{
		arch:   "phimoe",
		models: []string{"PhiMoEForCausalLM", "PhimoeForCausalLM"},
		keys: func(b *builder) {
			c := b.cfg
			r := b.rope("full_attention")
			context := c.intOr(1, 1, models.MaxContext, "max_position_embeddings")
			original := c.intOr(context, 1, models.MaxContext, "original_max_position_embeddings")
			original = r.intOr(original, 1, models.MaxContext, "original_max_position_embeddings")
			b.setInt("rope.scaling.original_context_length", original)
			b.setInt("rope.dimension_count", r.rotated(b.headDim))
			b.setInt("attention.sliding_window", c.intOr(0, 0, models.MaxContext, "sliding_window"))
			b.longRoPE(original)
			b.phimoeScale(r)
			jitter := c.floatOr(0.01, "router_jitter_noise")
			if !(jitter >= 0 && jitter <= 1) {
				c.fail("router_jitter_noise %v is not in 0..1", jitter)
			}
			b.setFloat("router_jitter_noise", jitter)
			b.note("other readers of architecture %q route by softmax and normalize without the mean: "+
				"their texts differ", b.arch)
		},
		tensors: func(b *builder) {
			for i := range b.layers {
				from, to := b.layer(i)
				b.apply(from, to, join(layerNorms, qkvo(nil, nil), router("block_sparse_moe.gate")))
				b.addExperts(from, to, b.experts(), mixtralExperts)
			}
			if b.entries["output.weight"] != nil {
				b.apply("", "", []rule{{from: "lm_head.bias", to: "output.bias", optional: true}})
			}
		},
	})
}

// phimoeScale writes the factor on cosine and sine that config.json names, where that is another than the sizes of the
// contexts give.
func (b *builder) phimoeScale(r rope) {
	if !r.has("short_mscale") && !r.has("long_mscale") {
		return
	}
	short, long := r.positive("short_mscale"), r.positive("long_mscale")
	if short != long {
		r.fail("%sshort_mscale %v and long_mscale %v differ, for which architecture %q has no keys", r.path, short,
			long, b.arch)
	}
	b.setFloat("rope.scaling.attn_factor", short)
}
