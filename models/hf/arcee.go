package hf

// Arcee's AFM: Llama without gates.

func init() {
	register(family{
		arch:   "arcee",
		models: []string{"ArceeForCausalLM"},
		keys:   llamaKeys,
		tensors: func(b *builder) {
			b.llama3Factors(b.headDim)
			b.applyLayers(join(
				norms(nil, "input_layernorm", "attn_norm", "post_attention_layernorm", "ffn_norm"),
				qkvo(permuted, permuted), linear("mlp.up_proj", "ffn_up", nil), linear("mlp.down_proj", "ffn_down", nil),
			))
		},
	})
}
