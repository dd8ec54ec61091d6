package hf

// OLMo 2 and 3: norms come after each half of a layer, and queries and keys are normed as a whole. OLMo 3 has windows.

func init() {
	register(family{
		arch:   "olmo2",
		models: []string{"Olmo2ForCausalLM", "Olmo3ForCausalLM"},
		keys: func(b *builder) {
			b.slidingWindow()
			theta := b.rope("sliding_attention").theta
			if b.cfg.has("rope_parameters") && theta != 0 && theta != b.rope("full_attention").theta {
				b.setFloat("rope.freq_base_swa", theta)
			}
		},
		tensors: func(b *builder) {
			b.applyLayers(join(
				norms(nil, "post_attention_layernorm", "post_attention_norm", "post_feedforward_layernorm",
					"post_ffw_norm"),
				qkvo(nil, nil), headNorms(nil), gatedMLP("mlp", ""),
			))
		},
	})
}
