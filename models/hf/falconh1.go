package hf

import (
	"cmp"
	"slices"

	"github.com/hipengine/hipengine/models"
)

// Falcon H1: attention and Mamba 2 side by side in each layer. Factors on what enters and leaves the parts become
// factors of the weights, as files of GGUF have no keys for them. Such weights are F32: products with a factor are no
// 16-bit numbers.

func init() {
	register(family{
		arch:   "falcon-h1",
		models: []string{"FalconH1ForCausalLM"},
		names:  names{norm: "final_layernorm"},
		embed:  func(b *builder, w weight) weight { return times(b.factor("embedding_multiplier"))(b, w) },
		output: func(b *builder, w weight) weight { return times(b.factor("lm_head_multiplier"))(b, w) },
		keys: func(b *builder) {
			c := b.cfg
			b.ssmKeys(b.mamba2())
			if c.bool(true, "mamba_norm_before_gate") && c.bool(false, "mamba_rms_norm") {
				c.fail("mamba_norm_before_gate is true: only norms behind the gate are known")
			}
			if n := c.intOr(0, 0, models.MaxDim, "mamba_d_ssm"); n != 0 && n != b.mamba2().inner() {
				c.fail("mamba_d_ssm is %d, not mamba_n_heads times mamba_d_head", n)
			}
		},
		tensors: falconH1Tensors,
	})
}

func falconH1Tensors(b *builder) {
	in, out := b.factor("attention_in_multiplier"), b.factor("attention_out_multiplier")
	mlp, m := b.factors("mlp_multipliers", 2), b.mamba2()
	rules := join(
		[]rule{
			{from: "input_layernorm.weight", to: "attn_norm.weight"},
			{from: "pre_ff_layernorm.weight", to: "ffn_norm"}, // where llama.cpp looks for it
			{from: "self_attn.q_proj.weight", to: "attn_q.weight", change: times(in)},
			{from: "self_attn.k_proj.weight", to: "attn_k.weight", change: times(in * b.factor("key_multiplier"))},
			{from: "self_attn.v_proj.weight", to: "attn_v.weight", change: times(in)},
			{from: "self_attn.o_proj.weight", to: "attn_output.weight", change: times(out)},
			{from: "feed_forward.gate_proj.weight", to: "ffn_gate.weight", change: times(mlp[0])},
			{from: "feed_forward.up_proj.weight", to: "ffn_up.weight"},
			{from: "feed_forward.down_proj.weight", to: "ffn_down.weight", change: times(mlp[1])},
		},
		b.falconH1Mixer(m),
	)
	b.applyLayers(rules)
	if b.cfg.bool(false, "tie_word_embeddings") { // of weights that have other factors here
		b.apply(b.prefix, "", []rule{{from: "embed_tokens.weight", to: "output.weight", change: b.output}})
	}
}

// falconH1Mixer are the rules of a mixer with factors on what enters and leaves it, and on the parts of its input
// projection: z, x, B, C and dt.
func (b *builder) falconH1Mixer(m mamba2) []rule {
	in, parts := b.factor("ssm_in_multiplier"), b.factors("ssm_multipliers", 5)
	rows := []int{m.inner(), m.inner(), m.groups * m.state, m.groups * m.state, m.heads}
	var rules []rule
	for _, r := range m.rules("mamba") {
		switch r.from {
		case "mamba.in_proj.bias", "mamba.out_proj.bias":
			continue
		case "mamba.in_proj.weight":
			r.change = func(b *builder, w weight) weight {
				n := 0
				for _, k := range rows {
					n += k
				}
				if len(w.shape) != 2 || w.shape[0] != n {
					b.fail("tensor %q has shape %v, the configuration wants %d rows", w.name, w.shape, n)
					return w
				}
				b.widened = true
				w.matrix = w.scaled(func(i int) float32 {
					part := 0
					for i >= rows[part] {
						i -= rows[part]
						part++
					}
					return float32(in * parts[part])
				})
				return w
			}
		case "mamba.out_proj.weight":
			r.change = times(b.factor("ssm_out_multiplier"))
		case "mamba.norm.weight":
			r.optional = !b.cfg.bool(false, "mamba_rms_norm")
		}
		rules = append(rules, r)
	}
	return rules
}

// factor returns a factor of config.json, 1 by default.
func (b *builder) factor(name string) float64 {
	if !b.cfg.has(name) {
		return 1
	}
	return b.cfg.positive(name)
}

// factors returns a list of n factors of config.json, all 1 by default.
func (b *builder) factors(name string, n int) []float64 {
	list := b.cfg.floats(name)
	if list == nil {
		return slices.Repeat([]float64{1}, n)
	}
	if len(list) != n || slices.ContainsFunc(list, func(x float64) bool { return cmp.Less(x, 0) || x > 1e9 }) {
		b.cfg.fail("%s is not %d factors", name, n)
		return make([]float64, n)
	}
	return list
}

// times is the transform of weights that are multiplied by a factor.
func times(f float64) transform {
	return func(b *builder, w weight) weight {
		if f != 1 {
			b.widened = true
			w.matrix = w.scaled(func(int) float32 { return float32(f) })
		}
		return w
	}
}
