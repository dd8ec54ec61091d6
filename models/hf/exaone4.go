package hf

// Exaone 4: norms behind each half of a layer, and of each head.

func init() {
	register(family{
		arch:   "exaone4",
		models: []string{"Exaone4ForCausalLM"},
		keys:   (*builder).slidingWindow,
		tensors: func(b *builder) {
			b.llama3Factors(b.headDim)
			b.applyLayers(join(
				norms(nil, "post_attention_layernorm", "post_attention_norm", "post_feedforward_layernorm",
					"post_ffw_norm"),
				qkvo(nil, nil), headNorms(nil), gatedMLP("mlp", ""),
			))
		},
	})
}
