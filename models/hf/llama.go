package hf

import "github.com/hipengine/hipengine/models"

// Llama, Mistral, Mixtral, Ministral and Helium share architecture "llama"; Granite adds four factors. Rotary pairs
// of their files of GGUF are neighbours, so that rows of queries and keys change places.

func init() {
	register(family{
		arch:    "llama",
		models:  []string{"LlamaForCausalLM", "MistralForCausalLM", "MixtralForCausalLM"},
		keys:    llamaKeys,
		tensors: llamaTensors,
	})
	register(family{
		arch:    "granite",
		models:  []string{"GraniteForCausalLM"},
		keys:    graniteKeys,
		tensors: llamaTensors,
	})
	register(family{
		arch:   "llama",
		models: []string{"MinistralForCausalLM"},
		keys: func(b *builder) {
			b.setInt("vocab_size", b.vocab)
			b.setInt("rope.dimension_count", b.rope("full_attention").rotated(b.headDim))
			b.slidingWindow()
			if b.cfg.has("sliding_window") {
				b.note("other readers of architecture %q do not know windows: they see the whole context in all layers",
					b.arch)
			}
		},
		tensors: llamaTensors,
	})
	register(family{ // its rotary pairs are neighbours already
		arch:    "llama",
		models:  []string{"HeliumForCausalLM"},
		keys:    llamaKeys,
		tensors: func(b *builder) { b.applyLayers(join(qwenAttention, gatedMLP("mlp", ""))) },
	})
}

func graniteKeys(b *builder) {
	llamaKeys(b)
	for _, k := range [][2]string{
		{"attention_multiplier", "attention.scale"}, {"embedding_multiplier", "embedding_scale"},
		{"residual_multiplier", "residual_scale"}, {"logits_scaling", "logit_scale"},
	} {
		if b.cfg.has(k[0]) {
			b.setFloat(k[1], b.cfg.positive(k[0]))
		}
	}
}

func llamaKeys(b *builder) {
	b.setInt("vocab_size", b.vocab)
	b.setInt("rope.dimension_count", b.rope("full_attention").rotated(b.headDim))
	if w := b.cfg.intOr(0, 0, models.MaxContext, "sliding_window"); w > 0 {
		b.note("the sliding window of %d tokens has no key in architecture %q: attention sees the whole context", w,
			b.arch)
	}
}

func llamaTensors(b *builder) {
	b.llama3Factors(b.headDim)
	rules := join(
		norms(nil, "input_layernorm", "attn_norm", "post_attention_layernorm", "ffn_norm"),
		qkvo(permuted, permuted),
	)
	n := b.experts()
	if n == 0 {
		rules = join(rules, gatedMLP("mlp", ""))
	}
	b.applyLayers(rules)
	if n == 0 {
		return
	}
	for i := range b.layers {
		from, to := b.layer(i)
		if form := qwenExperts; b.has(from + "mlp.gate.weight") { // newer files of Mixtral
			b.apply(from, to, router("mlp.gate"))
			b.addExperts(from, to, n, form)
			continue
		}
		b.apply(from, to, router("block_sparse_moe.gate"))
		b.addExperts(from, to, n, mixtralExperts)
	}
}

var mixtralExperts = expertForm{dir: "block_sparse_moe.experts.", gate: "w1", up: "w3", down: "w2"}
