package hf

import (
	"slices"

	"github.com/hipengine/hipengine/models"
)

// Qwen 2 and 3, dense and mixture of experts, and the language models of those that see.

func init() {
	register(family{
		arch:    "qwen2",
		models:  []string{"Qwen2ForCausalLM"},
		keys:    (*builder).qwenKeys,
		tensors: func(b *builder) { b.applyLayers(join(qwenAttention, gatedMLP("mlp", ""))) },
	})
	register(family{
		arch:    "qwen2moe",
		models:  []string{"Qwen2MoeForCausalLM"},
		keys:    func(b *builder) { b.qwenMoEKeys(false) },
		tensors: func(b *builder) { qwenMoE(b, qwenAttention, sharedExpert, qwenExperts) },
	})
	register(family{
		arch:    "qwen3",
		models:  []string{"Qwen3ForCausalLM", "Qwen3Model", "Qwen3ForSequenceClassification"},
		keys:    (*builder).qwenKeys,
		tensors: func(b *builder) { b.applyLayers(join(qwenAttention, headNorms(nil), gatedMLP("mlp", ""))) },
	})
	register(family{
		arch:    "qwen3moe",
		models:  []string{"Qwen3MoeForCausalLM"},
		keys:    func(b *builder) { b.qwenMoEKeys(true) },
		tensors: func(b *builder) { qwenMoE(b, join(qwenAttention, headNorms(nil)), nil, qwenExperts) },
	})
	register(family{
		arch:   "qwen2vl",
		models: []string{"Qwen2VLForConditionalGeneration", "Qwen2_5_VLForConditionalGeneration"},
		keys: func(b *builder) {
			b.qwenKeys()
			b.sectionKeys()
		},
		tensors: func(b *builder) { b.applyLayers(join(qwenAttention, gatedMLP("mlp", ""))) },
	})
	register(family{
		arch:   "qwen3vl",
		models: []string{"Qwen3VLForConditionalGeneration"},
		keys: func(b *builder) {
			b.qwenKeys()
			b.seeingKeys()
		},
		tensors: func(b *builder) { b.applyLayers(join(qwenAttention, headNorms(nil), gatedMLP("mlp", ""))) },
	})
	register(family{
		arch:   "qwen3vlmoe",
		models: []string{"Qwen3VLMoeForConditionalGeneration"},
		keys: func(b *builder) {
			b.qwenMoEKeys(true)
			b.seeingKeys()
		},
		tensors: func(b *builder) {
			form := qwenExperts
			form.inFirst = true
			qwenMoE(b, join(qwenAttention, headNorms(nil)), nil, form)
		},
	})
}

// sectionKeys writes how many pairs of a head turn by each coordinate of a token.
func (b *builder) sectionKeys() {
	sections := make([]int32, 4)
	for i, v := range b.rope("full_attention").floats("mrope_section") {
		if i >= len(sections) || v < 0 || v > models.MaxDim {
			b.cfg.fail("mrope_section is not four small numbers at most")
			return
		}
		sections[i] = int32(v)
	}
	b.set("rope.dimension_sections", sections)
}

// seeingKeys writes what readers that also see want to know of Qwen 3 VL: how many of the first layers what was seen
// is added behind.
func (b *builder) seeingKeys() {
	b.sectionKeys()
	n := 0
	if vision := b.cfg.sub("vision_config"); vision != nil {
		n = len(vision.floats("deepstack_visual_indexes"))
	}
	b.setInt("n_deepstack_layers", n)
}

// qwenKeys says what the keys cannot: some models were made for a sliding window in their upper layers.
func (b *builder) qwenKeys() {
	if b.cfg.bool(false, "use_sliding_window") {
		b.note("use_sliding_window has no key in architecture %q: attention sees the whole context", b.arch)
	}
}

// qwenMoEKeys writes the keys of experts. norm is what readers assume of the chosen experts' weights: that they are
// made to sum to one, or not.
func (b *builder) qwenMoEKeys(norm bool) {
	b.qwenKeys()
	b.expertKeys()
	if v := b.cfg.bool(norm, "norm_topk_prob"); v != norm {
		b.set("expert_weights_norm", v)
	}
}

var qwenAttention = join(
	norms(nil, "input_layernorm", "attn_norm", "post_attention_layernorm", "ffn_norm"),
	qkvo(nil, nil),
)

// headNorms are the norms of queries and keys.
func headNorms(change transform) []rule {
	return norms(change, "self_attn.q_norm", "attn_q_norm", "self_attn.k_norm", "attn_k_norm")
}

// qwenMoE adds layers of experts, of which some may be dense.
func qwenMoE(b *builder, rules, shared []rule, form expertForm) {
	n, step := b.experts(), b.cfg.intOr(1, 1, models.MaxLayers, "decoder_sparse_step")
	dense := b.cfg.floats("mlp_only_layers")
	for i := range b.layers {
		from, to := b.layer(i)
		b.apply(from, to, rules)
		b.gatedFFN(from, to, n, shared, form, slices.Contains(dense, float64(i)) || n == 0 || (i+1)%step != 0)
	}
}

// qwenFFN adds the feed-forward block of a layer: one of experts or a plain one.
func (b *builder) qwenFFN(from, to string, n int, shared []rule, dense bool) {
	b.gatedFFN(from, to, n, shared, qwenExperts, dense)
}

// gatedFFN is qwenFFN with experts of any form.
func (b *builder) gatedFFN(from, to string, n int, shared []rule, form expertForm, dense bool) {
	if dense {
		b.apply(from, to, gatedMLP("mlp", ""))
		return
	}
	b.apply(from, to, router("mlp.gate"))
	b.addExperts(from, to, n, form)
	b.apply(from, to, shared)
}
