package hf

import (
	"math"

	"github.com/hipengine/hipengine/models"
)

// Gemma 2 and 3: norms are zero-centred, and come before and after each half of a layer.

func init() {
	register(family{
		arch:    "gemma2",
		models:  []string{"Gemma2ForCausalLM"},
		norm:    addOne,
		keys:    gemma2Keys,
		tensors: func(b *builder) { b.applyLayers(join(gemmaNorms(addOne), qkvo(nil, nil), gatedMLP("mlp", ""))) },
	})
	register(family{
		arch:    "gemma3",
		models:  []string{"Gemma3ForCausalLM", "Gemma3ForConditionalGeneration"},
		norm:    addOne,
		keys:    gemma3Keys,
		tensors: gemma3Tensors,
	})
}

func gemma3Tensors(b *builder) {
	b.applyLayers(join(gemmaNorms(addOne), headNorms(addOne), qkvo(nil, nil), gatedMLP("mlp", "")))
}

func gemmaNorms(change transform) []rule {
	return norms(change, "input_layernorm", "attn_norm", "post_attention_layernorm", "post_attention_norm",
		"pre_feedforward_layernorm", "ffn_norm", "post_feedforward_layernorm", "post_ffw_norm")
}

func gemma2Keys(b *builder) {
	b.gemmaHeads()
	b.softcap("attn_logit_softcapping")
	b.softcap("final_logit_softcapping")
	b.slidingWindow()
}

func gemma3Keys(b *builder) {
	b.gemmaHeads()
	b.softcap("attn_logit_softcapping")
	b.softcap("final_logit_softcapping")
	b.slidingWindow()
	if n := b.cfg.intOr(0, 1, models.MaxLayers, "sliding_window_pattern", "_sliding_window_pattern"); n > 0 &&
		!b.cfg.has("layer_types") {
		b.setInt("attention.sliding_window_pattern", n)
	}
	b.setFloat("rope.freq_base_swa", b.slidingTheta())
}

// slidingTheta returns the rotary base of layers with a sliding window.
func (b *builder) slidingTheta() float64 {
	if b.cfg.has("rope_local_base_freq") {
		return b.cfg.positive("rope_local_base_freq")
	}
	if p := b.cfg.sub("rope_parameters"); p != nil && p.has("sliding_attention") {
		if r := b.rope("sliding_attention"); r.theta != 0 {
			return r.theta
		}
	}
	return 10000
}

// gemmaHeads writes what other families take from head_dim: Gemma's heads are 256 wide where nothing else is said,
// and the scale of attention comes from query_pre_attn_scalar.
func (b *builder) gemmaHeads() {
	c := b.cfg
	if !c.has("head_dim") {
		b.headDim = 256
		b.setInt("attention.key_length", b.headDim)
		b.setInt("attention.value_length", b.headDim)
	}
	if c.has("query_pre_attn_scalar") {
		if v := c.positive("query_pre_attn_scalar"); v != float64(b.headDim) {
			b.setFloat("attention.scale", 1/math.Sqrt(v))
		}
	}
}

// softcap writes a bound of logits, if the model has it.
func (b *builder) softcap(name string) {
	if b.cfg.has(name) {
		b.setFloat(name, b.cfg.positive(name))
	}
}
