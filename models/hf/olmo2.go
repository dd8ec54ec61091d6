package hf

// OLMo 2: norms come after each half of a layer, and queries and keys are normed as a whole.

func init() {
	register(family{
		arch:   "olmo2",
		models: []string{"Olmo2ForCausalLM"},
		tensors: func(b *builder) {
			b.applyLayers(join(
				norms(nil, "post_attention_layernorm", "post_attention_norm", "post_feedforward_layernorm",
					"post_ffw_norm"),
				qkvo(nil, nil), headNorms(nil), gatedMLP("mlp", ""),
			))
		},
	})
}
