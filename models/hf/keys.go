package hf

import (
	"math"
	"slices"

	"github.com/hipengine/hipengine/models"
)

// rope holds the rotary settings of config.json, in whichever spelling: rope_theta and rope_scaling of older files,
// rope_parameters of newer ones.
type rope struct {
	*config         // the scaling's own object
	theta   float64 // 0 if absent
	kind    string  // "" for none
	partial float64 // share of a head that rotates
}

// rope reads the settings of layers of a kind ("full_attention", "sliding_attention"); models with one kind give
// them without.
func (b *builder) rope(kind string) rope {
	c := b.cfg
	r := rope{config: &config{file: c.file, path: c.path + "rope_parameters.", objs: []object{{}}, err: c.err}}
	p := c.sub("rope_parameters")
	if p != nil && p.has("full_attention", "sliding_attention") {
		p = p.sub(kind)
	}
	switch {
	case p != nil:
		r.config = p
	case c.has("rope_scaling"):
		if p = c.sub("rope_scaling"); p != nil {
			r.config = p
		}
	}
	r.theta = r.floatOr(c.floatOr(0, "rope_theta"), "rope_theta")
	r.kind = r.str("rope_type", "type")
	r.partial = r.floatOr(c.floatOr(1, "partial_rotary_factor"), "partial_rotary_factor")
	if r.theta != 0 && !(r.theta > 1 && r.theta <= 1e15) {
		c.fail("rope_theta %v is not in 1..1e15", r.theta)
	}
	if !(r.partial > 0 && r.partial <= 1) {
		c.fail("partial_rotary_factor %v is not in 0..1", r.partial)
	}
	return r
}

// rotated returns how many elements of a head of dim rotate.
func (r rope) rotated(dim int) int { return int(float64(dim)*r.partial) &^ 1 }

// commonKeys reads the sizes that all families have and writes their keys in the converter's order.
func (b *builder) commonKeys() {
	c := b.cfg
	if b.layers = len(b.cfg.blockTypes()); b.layers == 0 {
		b.layers = c.int(1, models.MaxLayers, "num_hidden_layers", "n_layers", "num_layers")
	}
	b.embd = c.int(1, models.MaxDim, "hidden_size", "n_embd")
	context := []string{"max_position_embeddings", "max_sequence_length", "model_max_length"}
	if b.noAttention {
		b.heads, b.kvHeads, b.headDim = 0, 0, 1
	} else {
		b.heads = c.int(1, models.MaxHeads, "num_attention_heads", "n_head")
		b.kvHeads = c.intOr(b.heads, 1, models.MaxHeads, "num_key_value_heads")
		b.headDim = c.intOr(max(b.embd/b.heads, 1), 1, models.MaxDim, "head_dim", "attention_head_dim")
		if b.heads%b.kvHeads != 0 {
			c.fail("num_attention_heads %d is not a multiple of num_key_value_heads %d", b.heads, b.kvHeads)
		}
	}
	if b.family.drafts != nil {
		b.draft = b.family.drafts(b)
	}
	b.setInt("block_count", b.layers+b.draft)
	if b.noAttention {
		b.setInt("context_length", c.intOr(1<<20, 1, models.MaxContext, context...))
	} else {
		b.setInt("context_length", c.int(1, models.MaxContext, context...))
	}
	b.setInt("embedding_length", b.embd)
	if c.has("intermediate_size") {
		b.setInt("feed_forward_length", c.int(1, models.MaxDim, "intermediate_size"))
	}
	b.setInt("attention.head_count", b.heads)
	if !b.noAttention {
		b.setInt("attention.head_count_kv", b.kvHeads)
	}
	r := b.rope("full_attention")
	if r.theta != 0 {
		b.setFloat("rope.freq_base", r.theta)
	}
	b.scalingKeys(r)
	if b.layerNorm {
		b.setFloat("attention.layer_norm_epsilon", c.float("layer_norm_eps", "norm_epsilon", "layer_norm_epsilon",
			"norm_eps"))
	} else {
		b.setFloat("attention.layer_norm_rms_epsilon", c.float("rms_norm_eps", "layer_norm_epsilon", "norm_eps"))
	}
	if c.has("num_experts", "num_local_experts", "n_routed_experts") {
		if n := b.experts(); n > 0 {
			b.setInt("expert_count", n)
			b.setInt("expert_used_count", c.int(1, n, "num_experts_per_tok", "num_experts_per_token",
				"experts_per_token", "top_k_experts"))
		}
	}
	if c.has("head_dim", "attention_head_dim") && !b.noAttention {
		b.setInt("attention.key_length", b.headDim)
		b.setInt("attention.value_length", b.headDim)
	}
}

// experts returns the number of experts, 0 for a dense model.
func (b *builder) experts() int {
	if types := b.cfg.blockTypes(); types != nil && !slices.Contains(types, "moe") {
		return 0 // though there may be numbers
	}
	return b.cfg.intOr(0, 0, models.MaxExperts, "num_experts", "num_local_experts", "n_routed_experts")
}

// scalingKeys writes how frequencies are stretched. The scaling of Llama 3 has no keys: it is a tensor, which
// b.llama3Factors makes; that of Phi 3 is up to its family, proportional is Gemma 4's.
func (b *builder) scalingKeys(r rope) {
	switch r.kind {
	case "", "default", "mrope", "llama3", "longrope", "su", "proportional":
	case "linear":
		b.set("rope.scaling.type", "linear")
		b.setFloat("rope.scaling.factor", r.positive("factor"))
	case "yarn":
		b.set("rope.scaling.type", "yarn")
		b.setFloat("rope.scaling.factor", r.positive("factor"))
		b.setInt("rope.scaling.original_context_length",
			r.intOr(b.cfg.intOr(b.cfg.intOr(1, 1, models.MaxContext, "max_position_embeddings"), 1, models.MaxContext,
				"original_max_position_embeddings"),
				1, models.MaxContext, "original_max_position_embeddings"))
		if v := r.floatOr(32, "beta_fast"); v != 32 {
			b.setFloat("rope.scaling.yarn_beta_fast", v)
		}
		if v := r.floatOr(1, "beta_slow"); v != 1 {
			b.setFloat("rope.scaling.yarn_beta_slow", v)
		}
		if r.has("attention_factor") { // in place of 0.1 ln(factor) + 1, which readers of GGUF put there
			b.setFloat("rope.scaling.attn_factor",
				r.positive("attention_factor")/(0.1*math.Log(max(r.positive("factor"), 1))+1))
		}
		if v := r.floatOr(0, "mscale_all_dim"); v != 0 {
			b.setFloat("rope.scaling.yarn_log_multiplier", v)
		}
	case "dynamic":
		if r.has("alpha") { // Hunyuan's: one base for all lengths
			b.setFloat("rope.freq_base", r.theta*math.Pow(r.positive("alpha"), float64(b.headDim)/float64(b.headDim-2)))
			return
		}
		b.note("rope scaling %q changes nothing up to the context length and is left out", r.kind)
	default:
		b.cfg.fail("rope scaling %q is not known", clip(r.kind))
	}
}

// positive returns a required number above 0 and within reason.
func (c *config) positive(name string) float64 {
	v := c.float(name)
	if !(v > 0 && v <= 1e9) {
		c.fail("%s%s is %v, not above 0", c.path, name, v)
		return 1
	}
	return v
}

// llama3Factors adds rope_freqs.weight, the factors that divide the frequencies of n rotated elements, if the model
// has Llama 3's scaling: 1 for wavelengths below context/high_freq_factor, factor above context/low_freq_factor, a
// blend of both between.
func (b *builder) llama3Factors(n int) {
	r := b.rope("full_attention")
	if r.kind != "llama3" {
		return
	}
	factor, low, high := r.positive("factor"), r.floatOr(1, "low_freq_factor"), r.floatOr(4, "high_freq_factor")
	context := float64(r.intOr(8192, 1, models.MaxContext, "original_max_position_embeddings"))
	if !(low > 0 && high > low) {
		b.cfg.fail("%shigh_freq_factor %v is not above low_freq_factor %v above 0", r.path, high, low)
		return
	}
	theta := r.theta
	if theta == 0 {
		theta = 10000
	}
	x := make([]float32, n/2)
	for i := range x {
		wavelength := 2 * math.Pi * math.Pow(theta, 2*float64(i)/float64(n))
		switch {
		case wavelength < context/high:
			x[i] = 1
		case wavelength > context/low:
			x[i] = float32(factor)
		default:
			s := (context/wavelength - low) / (high - low)
			x[i] = float32(1 / ((1-s)/factor + s))
		}
	}
	b.add("rope_freqs.weight", weight{matrix: values(x), shape: []int{len(x)}})
}

// slidingWindow writes the window, and which layers have it, from layer_types.
func (b *builder) slidingWindow() {
	c := b.cfg
	if !c.has("sliding_window") {
		return
	}
	b.setInt("attention.sliding_window", c.int(1, models.MaxContext, "sliding_window"))
	if types := b.layerTypes("sliding_attention", "full_attention", "chunked_attention"); types != nil {
		pattern := make([]bool, b.layers)
		for i, t := range types {
			pattern[i] = t == "sliding_attention"
		}
		b.set("attention.sliding_window_pattern", pattern)
	}
}

// layerTypes returns the kind of each layer, nil if config.json does not say.
func (b *builder) layerTypes(known ...string) []string {
	types := b.cfg.strs("layer_types")
	if types != nil && len(types) != b.layers {
		b.cfg.fail("layer_types lists %d layers of %d", len(types), b.layers)
		return nil
	}
	for i, t := range types {
		ok := false
		for _, k := range known {
			ok = ok || t == k
		}
		if !ok {
			b.cfg.fail("layer_types of layer %d is %q", i, clip(t))
			return nil
		}
	}
	return types
}
