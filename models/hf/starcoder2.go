package hf

// StarCoder 2: layer normalization and biases everywhere.

func init() {
	register(family{
		arch:      "starcoder2",
		models:    []string{"Starcoder2ForCausalLM"},
		layerNorm: true,
		keys:      (*builder).slidingWindow,
		tensors: func(b *builder) {
			b.applyLayers(join(layerNorms, qkvo(nil, nil),
				linear("mlp.c_fc", "ffn_up", nil), linear("mlp.c_proj", "ffn_down", nil)))
		},
	})
	register(family{
		arch:      "stablelm",
		models:    []string{"StableLmForCausalLM"},
		layerNorm: true,
		keys: func(b *builder) {
			b.setInt("rope.dimension_count", b.rope("full_attention").rotated(b.headDim))
			b.set("use_parallel_residual", b.cfg.bool(false, "use_parallel_residual"))
			for _, name := range []string{"use_parallel_residual", "qk_layernorm"} {
				if b.cfg.bool(false, name) {
					b.cfg.fail("%s is not known in architecture %q", name, b.arch)
				}
			}
		},
		tensors: func(b *builder) { b.applyLayers(join(layerNorms, qkvo(nil, nil), gatedMLP("mlp", ""))) },
	})
}

// layerNorms are the norms in front of both halves of a layer, and their biases.
var layerNorms = join(linear("input_layernorm", "attn_norm", nil), linear("post_attention_layernorm", "ffn_norm", nil))
