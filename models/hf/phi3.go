package hf

import (
	"math"

	"github.com/hipengine/hipengine/models"
)

// Phi 3 and 4: fused projections, and two tables of rotary factors in models with long contexts.

func init() {
	register(family{
		arch:   "phi3",
		models: []string{"Phi3ForCausalLM"},
		keys: func(b *builder) {
			c := b.cfg
			original := c.intOr(c.intOr(1, 1, models.MaxContext, "max_position_embeddings"), 1, models.MaxContext,
				"original_max_position_embeddings")
			b.setInt("rope.scaling.original_context_length", original)
			b.setInt("rope.dimension_count", b.rope("full_attention").rotated(b.headDim))
			b.setInt("attention.sliding_window", c.intOr(0, 0, models.MaxContext, "sliding_window"))
			b.longRoPE(original)
		},
		tensors: func(b *builder) {
			b.applyLayers(join(
				norms(nil, "input_layernorm", "attn_norm", "post_attention_layernorm", "ffn_norm"),
				linear("self_attn.qkv_proj", "attn_qkv", nil), linear("self_attn.o_proj", "attn_output", nil),
				linear("mlp.gate_up_proj", "ffn_up", nil), linear("mlp.down_proj", "ffn_down", nil),
			))
		},
	})
}

// longRoPE adds the factors of contexts up to and beyond the original one.
func (b *builder) longRoPE(original int) {
	r := b.rope("full_attention")
	if r.kind != "longrope" && r.kind != "su" {
		return
	}
	b.set("rope.scaling.type", "longrope")
	scale := b.cfg.float("max_position_embeddings") / float64(original)
	factor := 1.0
	if scale > 1 && original > 1 {
		factor = math.Sqrt(1 + math.Log(scale)/math.Log(float64(original)))
	}
	b.setFloat("rope.scaling.attn_factor", r.floatOr(factor, "attention_factor"))
	for _, name := range []string{"long", "short"} {
		f := r.floats(name + "_factor")
		if n := r.rotated(b.headDim) / 2; len(f) != n {
			r.fail("%s%s_factor has %d values for %d pairs", r.path, name, len(f), n)
			return
		}
		x := make([]float32, len(f))
		for i, v := range f {
			x[i] = float32(v)
		}
		b.add("rope_factors_"+name+".weight", weight{matrix: values(x), shape: []int{len(x)}})
	}
}
