package hf

// GPT-NeoX: queries, keys and values of each head stand together.

func init() {
	register(family{
		arch:      "gptneox",
		models:    []string{"GPTNeoXForCausalLM"},
		layerNorm: true,
		names:     names{embed: "embed_in", norm: "final_layer_norm", output: "embed_out"},
		keys: func(b *builder) {
			c := b.cfg
			r := b.rope("full_attention")
			if share := c.floatOr(0, "rotary_pct"); share != 0 {
				if r.partial = share; !(share > 0 && share <= 1) {
					c.fail("rotary_pct %v is not in 0..1", share)
					return
				}
			}
			if c.has("rotary_emb_base") {
				b.setFloat("rope.freq_base", c.positive("rotary_emb_base"))
			}
			b.setInt("rope.dimension_count", r.rotated(b.headDim))
			b.set("use_parallel_residual", c.bool(true, "use_parallel_residual"))
			b.set("hidden_activation", c.str("hidden_act"))
		},
		tensors: func(b *builder) {
			b.applyLayers(join(layerNorms, linear("attention.query_key_value", "attn_qkv", ungrouped),
				linear("attention.dense", "attn_output", nil), linear("mlp.dense_h_to_4h", "ffn_up", nil),
				linear("mlp.dense_4h_to_h", "ffn_down", nil)))
		},
	})
}

// ungrouped takes rows of queries, keys and values of each head to all queries, all keys and all values.
func ungrouped(b *builder, w weight) weight {
	if n := w.shape[0]; n != 3*b.heads*b.headDim {
		b.fail("tensor %q has %d rows, which are not queries, keys and values of %d heads of %d", w.name, n, b.heads,
			b.headDim)
		return w
	}
	w.matrix = reorder(w.matrix, func(i int) int {
		part, head, row := i/(b.heads*b.headDim), i/b.headDim%b.heads, i%b.headDim
		return (3*head+part)*b.headDim + row
	})
	return w
}
