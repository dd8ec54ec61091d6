package hf

// GLM-4 of April 2025: norms before and after each half of a layer, gate and up in one projection, and half of each
// head rotates. Its rotary pairs are neighbours already.

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
}
