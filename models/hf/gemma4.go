package hf

import "github.com/hipengine/hipengine/models"

// Gemma 4: norms are plain again, layers with full attention have wider heads of which a part rotates, and a model has
// embeddings of each layer (E2B, E4B), experts beside the dense feed-forward block (26B), or neither. Widths that
// differ from layer to layer are read off the tensors.

func init() {
	register(family{
		arch:    "gemma4",
		models:  []string{"Gemma4ForCausalLM", "Gemma4ForConditionalGeneration"},
		keys:    gemma4Keys,
		tensors: gemma4Tensors,
	})
}

// headDimOf returns the width of heads of layer i, which is the length of its query norm.
func (b *builder) headDimOf(i int) int {
	from, _ := b.layer(i)
	name := from + "self_attn.q_norm.weight"
	if t := b.stored[name]; t != nil && len(t.shape) == 1 && t.shape[0] > 0 {
		return t.shape[0]
	}
	b.fail("tensor %q is missing, or no vector", name)
	return 1
}

func gemma4Keys(b *builder) {
	c := b.cfg
	types := b.layerTypes("sliding_attention", "full_attention")
	if types == nil {
		c.fail("%slayer_types is missing", c.path)
		return
	}
	b.slidingWindow()
	full, sliding := b.headDim, b.headDim
	kv, ff := make([]int32, b.layers), make([]int32, b.layers)
	for i, t := range types {
		dim := b.headDimOf(i)
		if t == "full_attention" {
			full = dim
		} else {
			sliding = dim
		}
		from, _ := b.layer(i)
		kv[i] = int32(b.kvHeads)
		if k := b.stored[from+"self_attn.k_proj.weight"]; k != nil && len(k.shape) == 2 {
			kv[i] = int32(k.shape[0] / dim)
		} else if i > 0 { // a layer that reads the keys of an earlier one of its kind
			for j := i - 1; j >= 0; j-- {
				if types[j] == t {
					kv[i] = kv[j]
					break
				}
			}
		}
		up := b.stored[from+"mlp.up_proj.weight"]
		if up == nil || len(up.shape) != 2 {
			b.fail("tensor %q is missing, or no matrix", from+"mlp.up_proj.weight")
			return
		}
		ff[i] = int32(up.shape[0])
	}
	b.set("attention.head_count_kv", scalarIfEqual(kv))
	b.set("feed_forward_length", scalarIfEqual(ff))
	b.setInt("attention.key_length", full)
	b.setInt("attention.value_length", full)
	b.setInt("attention.key_length_swa", sliding)
	b.setInt("attention.value_length_swa", sliding)
	b.setInt("rope.dimension_count", full)
	b.setInt("rope.dimension_count_swa", sliding)
	b.setFloat("rope.freq_base_swa", b.slidingTheta())
	b.setInt("attention.shared_kv_layers", c.intOr(0, 0, b.layers, "num_kv_shared_layers"))
	b.setInt("embedding_length_per_layer_input", c.intOr(0, 0, models.MaxDim, "hidden_size_per_layer_input"))
	b.softcap("final_logit_softcapping")
	b.expertKeys()
}

// scalarIfEqual returns one number for a list that repeats it.
func scalarIfEqual(x []int32) any {
	for _, v := range x {
		if v != x[0] {
			return x
		}
	}
	return uint32(x[0])
}

func gemma4Tensors(b *builder) {
	b.proportionalFactors()
	if b.err != nil {
		return
	}
	b.apply(b.prefix, "", []rule{
		{from: "embed_tokens_per_layer.weight", to: "per_layer_token_embd.weight", optional: true},
		{from: "per_layer_model_projection.weight", to: "per_layer_model_proj.weight", optional: true},
		{from: "per_layer_projection_norm.weight", to: "per_layer_proj_norm.weight", optional: true},
	})
	optional := func(rules []rule) []rule {
		for i := range rules {
			rules[i].optional = true
		}
		return rules
	}
	rules := join(
		gemmaNorms(nil),
		norms(nil, "self_attn.q_norm", "attn_q_norm"),
		linear("self_attn.q_proj", "attn_q", nil), linear("self_attn.o_proj", "attn_output", nil),
		// Layers that share keys and values have none; wide layers may use the keys for values.
		optional(join(linear("self_attn.k_proj", "attn_k", nil), linear("self_attn.v_proj", "attn_v", nil),
			norms(nil, "self_attn.k_norm", "attn_k_norm"))),
		gatedMLP("mlp", ""),
		optional(join(
			norms(nil, "post_feedforward_layernorm_1", "post_ffw_norm_1", "post_feedforward_layernorm_2",
				"post_ffw_norm_2",
				"pre_feedforward_layernorm_2", "pre_ffw_norm_2"),
			router("router.proj"),
			[]rule{{from: "router.scale", to: "ffn_gate_inp.scale"},
				{from: "router.per_expert_scale", to: "ffn_down_exps.scale"}},
			linear("per_layer_input_gate", "inp_gate", nil), linear("per_layer_projection", "proj", nil),
			norms(nil, "post_per_layer_input_norm", "post_norm"),
			[]rule{{from: "layer_scalar", to: "layer_output_scale.weight"}},
		)),
	)
	b.applyLayers(rules)
	if !b.cfg.bool(false, "enable_moe_block") {
		return
	}
	for i := range b.layers {
		from, to := b.layer(i)
		b.addExperts(from, to, b.experts(),
			expertForm{dir: "experts.", gate: "gate_proj", up: "up_proj", down: "down_proj", fused: true})
	}
}

// proportionalFactors adds the factors of layers with full attention: pairs beyond the rotating share are divided by
// so much that they stand still.
func (b *builder) proportionalFactors() {
	r := b.rope("full_attention")
	if r.kind != "proportional" {
		return
	}
	dim, err := b.meta.Int(b.arch + ".rope.dimension_count")
	if err != nil || dim > models.MaxDim {
		b.fail("heads of %d elements: %v", dim, err)
		return
	}
	x := make([]float32, dim/2)
	for i := range x {
		x[i] = 1e30
		if 2*i < r.rotated(int(dim)) {
			x[i] = 1
		}
	}
	b.add("rope_freqs.weight", weight{matrix: values(x), shape: []int{len(x)}})
}
