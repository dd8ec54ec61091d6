package hf

import "github.com/hipengine/hipengine/models"

// DeepSeek V2 and V3 with what is built like them, and GLM-4.7-Flash, which is too. The matrix that makes keys and
// values of latent vectors is cut by head, and the keys' part transposed, for queries are multiplied with it.

func init() {
	register(deepseek(false, "DeepseekV2ForCausalLM"))
	register(deepseek(true, "DeepseekV3ForCausalLM"))
	register(deepseek(true, "Glm4MoeLiteForCausalLM"))
}

// deepseek is the family of model classes whose routers take the sigmoid of each expert, or softmax over all, where
// config.json does not say.
func deepseek(sigmoid bool, classes ...string) family {
	return family{
		arch:   "deepseek2",
		models: classes,
		keys: func(b *builder) {
			b.latentKeys()
			c := b.cfg
			b.setInt("vocab_size", b.vocab)
			if v := c.bool(true, "rope_interleave"); !v {
				c.fail("rope_interleave is false: rotary pairs of architecture %q are neighbours", b.arch)
			}
			b.deepseekRoPE()
			b.setInt("leading_dense_block_count", b.leadingDense())
			if b.experts() == 0 {
				return
			}
			b.expertKeys()
			b.setInt("expert_shared_count", c.intOr(0, 0, models.MaxExperts, "n_shared_experts"))
			b.setFloat("expert_weights_scale", c.floatOr(1, "routed_scaling_factor"))
			b.set("expert_weights_norm", c.bool(sigmoid, "norm_topk_prob"))
			b.deepseekGating(sigmoid)
		},
		tensors: func(b *builder) {
			dense := b.leadingDense()
			for i := range b.layers {
				from, to := b.layer(i)
				b.apply(from, to, norms(nil, "input_layernorm", "attn_norm", "post_attention_layernorm", "ffn_norm"))
				b.latentAttention(from, to)
				b.qwenFFN(from, to, b.experts(), gatedMLP("mlp.shared_experts", "_shexp"), i < dense)
				if i >= dense {
					b.apply(from, to, selectionBias("mlp.gate.e_score_correction_bias"))
				}
			}
			b.skipDrafts()
		},
	}
}

// latentSizes are the sizes of latent attention in config.json.
type latentSizes struct{ rank, queries, still, rotated, values int }

func (b *builder) latentSizes() latentSizes {
	c := b.cfg
	s := latentSizes{rank: c.int(1, models.MaxDim, "kv_lora_rank"), still: c.int(1, models.MaxDim, "qk_nope_head_dim"),
		rotated: c.int(1, models.MaxDim, "qk_rope_head_dim"), values: c.int(1, models.MaxDim, "v_head_dim")}
	if c.has("q_lora_rank") {
		s.queries = c.int(1, models.MaxDim, "q_lora_rank")
	}
	return s
}

// latentKeys writes the sizes of latent attention. What is kept of a token is one key that all heads share.
func (b *builder) latentKeys() {
	s := b.latentSizes()
	b.setInt("attention.head_count_kv", 1)
	if s.queries > 0 {
		b.setInt("attention.q_lora_rank", s.queries)
	}
	b.setInt("attention.kv_lora_rank", s.rank)
	b.setInt("attention.key_length", s.rank+s.rotated)
	b.setInt("attention.value_length", s.rank)
	b.setInt("attention.key_length_mla", s.still+s.rotated)
	b.setInt("attention.value_length_mla", s.values)
	b.setInt("rope.dimension_count", s.rotated)
}

// latentAttention adds the projections of a layer.
func (b *builder) latentAttention(from, to string) {
	s := b.latentSizes()
	rules := join(linear("self_attn.kv_a_proj_with_mqa", "attn_kv_a_mqa", nil),
		norms(nil, "self_attn.kv_a_layernorm", "attn_kv_a_norm"), linear("self_attn.o_proj", "attn_output", nil))
	if s.queries > 0 {
		rules = join(rules, linear("self_attn.q_a_proj", "attn_q_a", nil),
			norms(nil, "self_attn.q_a_layernorm", "attn_q_a_norm"), linear("self_attn.q_b_proj", "attn_q_b", nil))
	} else {
		rules = join(rules, linear("self_attn.q_proj", "attn_q", nil))
	}
	b.apply(from, to, rules)
	w, ok := b.weight(from + "self_attn.kv_b_proj.weight")
	if !ok {
		return
	}
	if w.factors != nil {
		w.matrix = w.float(nil) // no product with both halves applies the factor
	}
	head := s.still + s.values
	if len(w.shape) != 2 || w.rows != b.heads*head || w.cols != s.rank {
		b.fail("tensor %q has shape %v, want %d heads of %d keys and %d values, from %d", w.name, w.shape, b.heads,
			s.still, s.values, s.rank)
		return
	}
	keys := w.pick(b.heads*s.still, func(i int) int { return i/s.still*head + i%s.still })
	b.add(to+"attn_k_b.weight", weight{matrix: keys.transpose(s.still, &b.slabs), name: w.name,
		shape: []int{b.heads, s.rank, s.still}})
	values := w.pick(b.heads*s.values, func(i int) int { return i/s.values*head + s.still + i%s.values })
	b.add(to+"attn_v_b.weight", weight{matrix: values, name: w.name, shape: []int{b.heads, s.values, s.rank}})
}

// deepseekRoPE writes YaRN's factor on the dot products as llama.cpp's converter does for this architecture: a tenth of
// it. The factor on cosine and sine is one.
func (b *builder) deepseekRoPE() {
	r := b.rope("full_attention")
	if r.kind != "yarn" {
		return
	}
	all := r.floatOr(0, "mscale_all_dim")
	if v := r.floatOr(all, "mscale"); v != all {
		b.cfg.fail("%smscale %v differs from mscale_all_dim %v: architecture %q has no key for that", r.path, v, all,
			b.arch)
	}
	if all != 0 {
		b.setFloat("rope.scaling.yarn_log_multiplier", 0.1*all)
	}
}

// leadingDense returns the number of dense layers in front of the others, which are mixtures of experts.
func (b *builder) leadingDense() int {
	c := b.cfg
	if b.experts() == 0 {
		return b.layers
	}
	if n := c.intOr(1, 1, models.MaxLayers, "moe_layer_freq"); n != 1 {
		c.fail("moe_layer_freq is %d: architecture %q has experts in all layers behind the dense ones", n, b.arch)
	}
	types := c.strs("mlp_layer_types")
	if types == nil {
		return c.intOr(0, 0, b.layers, "first_k_dense_replace")
	}
	dense := 0
	for dense < len(types) && types[dense] == "dense" {
		dense++
	}
	for i, t := range types {
		if i >= dense && t != "sparse" || len(types) != b.layers {
			c.fail("mlp_layer_types is not %d layers of which some first are dense and the others sparse", b.layers)
			break
		}
	}
	return dense
}

// deepseekGating writes how experts are scored and chosen.
func (b *builder) deepseekGating(sigmoid bool) {
	c := b.cfg
	switch v := c.str("scoring_func"); v {
	case "":
	case "sigmoid", "softmax":
		sigmoid = v == "sigmoid"
	default:
		c.fail("scoring_func %q is neither sigmoid nor softmax", clip(v))
	}
	method := "greedy"
	if sigmoid {
		method = "noaux_tc"
	}
	groups := c.intOr(1, 1, models.MaxExperts, "n_group")
	switch v := c.str("topk_method"); {
	case v == "greedy":
		groups = 1
	case v != "" && v != method && (sigmoid || v != "group_limited_greedy"):
		c.fail("topk_method %q is not known with this scoring_func", clip(v))
	}
	gating := 1 // as llama.cpp counts
	if sigmoid {
		gating = sigmoidGating
	}
	b.set("expert_gating_func", uint32(gating))
	b.groupKeys(groups)
}

// groupKeys writes the number of groups of experts, if there are several, and of those that a token uses.
func (b *builder) groupKeys(groups int) {
	if groups > 1 {
		b.setInt("expert_group_count", groups)
		b.setInt("expert_group_used_count", b.cfg.int(1, groups, "topk_group"))
	}
}
