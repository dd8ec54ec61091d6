package hf

import "slices"

// SmolLM 3: Llama without rotation in every fourth layer.

func init() {
	register(family{
		arch:   "smollm3",
		models: []string{"SmolLM3ForCausalLM"},
		keys: func(b *builder) {
			llamaKeys(b)
			rotated := b.cfg.floats("no_rope_layers") // 1 where a layer has rotation, in spite of the name
			if rotated == nil && b.cfg.intOr(4, 1, 1024, "no_rope_layer_interval") == 4 {
				return
			}
			want := make([]float64, b.layers)
			for i := range want {
				if (i+1)%4 != 0 {
					want[i] = 1
				}
			}
			if !slices.Equal(rotated, want) {
				b.cfg.fail("no_rope_layers is not 1, 1, 1, 0 and so on, which architecture %q has no key for", b.arch)
			}
		},
		tensors: llamaTensors,
	})
}
