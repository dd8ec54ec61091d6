package hf

// Cohere's Command R, R7B and A: one norm a layer, which is layer normalization. Rotary pairs are neighbours already.

func init() {
	for arch, model := range map[string]string{"command-r": "CohereForCausalLM", "cohere2": "Cohere2ForCausalLM"} {
		register(family{
			arch:      arch,
			models:    []string{model},
			layerNorm: true,
			keys: func(b *builder) {
				b.setFloat("logit_scale", b.cfg.floatOr(0.0625, "logit_scale"))
				b.setInt("rope.dimension_count", b.rope("full_attention").rotated(b.headDim))
				b.set("rope.scaling.type", "none")
				if b.arch == "cohere2" {
					b.slidingWindow()
				}
				if b.cfg.bool(false, "use_qk_norm") {
					b.cfg.fail("use_qk_norm is not known in architecture %q", b.arch)
				}
			},
			tensors: func(b *builder) {
				b.applyLayers(join(norms(nil, "input_layernorm", "attn_norm"), qkvo(nil, nil), gatedMLP("mlp", "")))
			},
		})
	}
}
