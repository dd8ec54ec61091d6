package hf

// Apertus: the parameters of each layer's activation become keys.

func init() {
	register(family{
		arch:   "apertus",
		models: []string{"ApertusForCausalLM"},
		keys: func(b *builder) {
			for _, name := range []string{"alpha_p", "alpha_n", "beta", "eps"} {
				x := make([]float32, b.layers)
				for i := range x {
					from, _ := b.layer(i)
					x[i] = b.scalar(from + "mlp.act_fn." + name)
				}
				b.setKey("xielu."+name, x)
			}
		},
		tensors: func(b *builder) {
			b.llama3Factors(b.headDim)
			b.applyLayers(join(
				norms(nil, "attention_layernorm", "attn_norm", "feedforward_layernorm", "ffn_norm"),
				qkvo(nil, nil), headNorms(nil),
				linear("mlp.up_proj", "ffn_up", nil), linear("mlp.down_proj", "ffn_down", nil),
			))
		},
	})
}

// scalar reads a stored tensor of one element.
func (b *builder) scalar(name string) float32 {
	w, ok := b.weight(name)
	if !ok {
		return 0
	}
	if w.rows*w.cols != 1 {
		b.fail("tensor %q has shape %v, want one element", name, w.shape)
		return 0
	}
	x := make([]float32, 1)
	if err := w.floats(x, 0, 1); err != nil {
		b.fail("tensor %q: %w", name, err)
	}
	return x[0]
}
