package hf

// Hunyuan, dense: norms of each head, under names of its own.

func init() {
	register(family{
		arch:   "hunyuan-dense",
		models: []string{"HunYuanDenseV1ForCausalLM"},
		tensors: func(b *builder) {
			b.applyLayers(join(qwenAttention,
				norms(nil, "self_attn.query_layernorm", "attn_q_norm", "self_attn.key_layernorm", "attn_k_norm"),
				gatedMLP("mlp", ""),
			))
		},
	})
}
