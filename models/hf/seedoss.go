package hf

// Seed-OSS: Llama with biases. Files of GGUF call the second norm by its name in the checkpoint.

func init() {
	register(family{
		arch:   "seed_oss",
		models: []string{"SeedOssForCausalLM"},
		tensors: func(b *builder) {
			b.applyLayers(join(
				norms(nil, "input_layernorm", "attn_norm", "post_attention_layernorm", "post_attention_norm"),
				qkvo(nil, nil), gatedMLP("mlp", ""),
			))
		},
	})
}
