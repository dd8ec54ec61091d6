package hf

import "github.com/hipengine/hipengine/models"

// Granite 4 without state-space layers and experts: Granite 3 with gate and up in one projection.

func init() {
	register(family{
		arch:   "granite",
		models: []string{"GraniteMoeHybridForCausalLM"},
		keys: func(b *builder) {
			c := b.cfg
			for i, t := range c.strs("layer_types") {
				if t != "attention" && t != "full_attention" {
					c.fail("layer_types of layer %d is %q, which is not known", i, clip(t))
				}
			}
			if n := b.experts(); n > 0 {
				c.fail("num_local_experts is %d: mixtures of this class are not known", n)
			}
			if v := c.str("position_embedding_type"); v != "rope" {
				c.fail("position_embedding_type %q is not rope", clip(v))
			}
			graniteKeys(b)
			b.setInt("feed_forward_length", c.int(1, models.MaxDim, "shared_intermediate_size"))
		},
		tensors: func(b *builder) {
			b.llama3Factors(b.headDim)
			b.applyLayers(join(
				norms(nil, "input_layernorm", "attn_norm", "post_attention_layernorm", "ffn_norm"),
				qkvo(permuted, permuted),
				[]rule{
					{from: "shared_mlp.input_linear.weight", to: "ffn_gate.weight", change: half(0)},
					{from: "shared_mlp.input_linear.weight", to: "ffn_up.weight", change: half(1)},
					{from: "shared_mlp.output_linear.weight", to: "ffn_down.weight"},
				},
			))
		},
	})
}

// half is the transform of one of two matrices that are stored in one, rows of the first before those of the second.
func half(i int) transform {
	return func(b *builder, w weight) weight {
		if w.shape[0]%2 != 0 {
			b.fail("tensor %q has %d rows, which are not two halves", w.name, w.shape[0])
			return w
		}
		n := w.shape[0] / 2
		w.shape = append([]int{n}, w.shape[1:]...)
		w.matrix = w.pick(n, func(r int) int { return i*n + r })
		return w
	}
}
