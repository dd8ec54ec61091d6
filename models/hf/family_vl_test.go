package hf

// qwen2vlCase is a checkpoint of Qwen 2.5 VL as it is published: the keys of the language model are the file's own.
func qwen2vlCase() familyCase {
	c := familyCase{
		name: "qwen2vl",
		config: `{"architectures":["Qwen2_5_VLForConditionalGeneration"],` + sizes + `,"intermediate_size":24,
			"rope_theta":1000000.0,"rope_scaling":{"type":"mrope","mrope_section":[1,1,0]},"use_sliding_window":false,
			"sliding_window":32,"vision_config":{"hidden_size":3}}`,
		stored: merge(globals, attentionTensors(layer0), map[string][]int{"visual.x": {2}}),
		want:   merge(wantGlobals, wantAttention(layer0)),
		keys: map[string]any{"qwen2vl.rope.dimension_sections": []int32{1, 1, 0, 0},
			"qwen2vl.rope.freq_base": float32(1e6)},
		notes: []string{"visual"},
	}
	c.dense()
	for p, n := range map[string]int{"q": 16, "k": 8, "v": 8} {
		c.put("self_attn."+p+"_proj.bias", "attn_"+p+".bias", n)
	}
	return c
}

// qwen3vlmoeCase has the projections of experts as [experts, in, out].
func qwen3vlmoeCase() familyCase {
	const l, n, ff = "model.language_model.layers.0.", 3, 24
	gateUp, down := l+"mlp.experts.gate_up_proj", l+"mlp.experts.down_proj"
	half := func(h int) wantTensor { // element i is of expert i/(ff*16), row i/16%ff and column i%16
		return mapped(gateUp, func(i int) int { return (i/(ff*16)*16+i%16)*2*ff + h*ff + i/16%ff }, n, ff, 16)
	}
	c := familyCase{
		name: "qwen3vlmoe",
		config: `{"architectures":["Qwen3VLMoeForConditionalGeneration"],"tie_word_embeddings":false,"text_config":{` +
			sizes + `,"intermediate_size":24,"head_dim":4,"moe_intermediate_size":24,"num_experts":3,
			"num_experts_per_tok":2,"norm_topk_prob":true,"decoder_sparse_step":1,"mlp_only_layers":[],
			"rope_theta":5000000,"rope_scaling":{"mrope_interleaved":true,"mrope_section":[1,1,0],"rope_type":"default"}},
			"vision_config":{"hidden_size":3,"deepstack_visual_indexes":[8,16,24]}}`,
		stored: merge(attentionTensors(l), map[string][]int{"lm_head.weight": {vocab, 16},
			"model.language_model.embed_tokens.weight": {vocab, 16}, "model.language_model.norm.weight": {16},
			l + "self_attn.q_norm.weight": {4}, l + "self_attn.k_norm.weight": {4},
			l + "input_layernorm.weight": {16}, l + "post_attention_layernorm.weight": {16},
			l + "mlp.gate.weight": {n, 16}, gateUp: {n, 16, 2 * ff}, down: {n, ff, 16}, "model.visual.x": {2}}),
		want: merge(wantAttention(l), map[string]wantTensor{"output.weight": same("lm_head.weight", vocab, 16),
			"token_embd.weight":          same("model.language_model.embed_tokens.weight", vocab, 16),
			"output_norm.weight":         same("model.language_model.norm.weight", 16),
			"blk.0.attn_q_norm.weight":   same(l+"self_attn.q_norm.weight", 4),
			"blk.0.attn_k_norm.weight":   same(l+"self_attn.k_norm.weight", 4),
			"blk.0.attn_norm.weight":     same(l+"input_layernorm.weight", 16),
			"blk.0.ffn_norm.weight":      same(l+"post_attention_layernorm.weight", 16),
			"blk.0.ffn_gate_inp.weight":  same(l+"mlp.gate.weight", n, 16),
			"blk.0.ffn_gate_exps.weight": half(0), "blk.0.ffn_up_exps.weight": half(1),
			"blk.0.ffn_down_exps.weight": mapped(down,
				func(i int) int { return i/(16*ff)*16*ff + i%ff*16 + i/ff%16 }, n, 16, ff)}),
		keys: map[string]any{"qwen3vlmoe.rope.dimension_sections": []int32{1, 1, 0, 0},
			"qwen3vlmoe.rope.freq_base": float32(5e6), "qwen3vlmoe.n_deepstack_layers": uint32(3),
			"qwen3vlmoe.expert_count": uint32(n), "qwen3vlmoe.expert_used_count": uint32(2),
			"qwen3vlmoe.expert_feed_forward_length": uint32(ff)},
		notes: []string{"visual"},
	}
	return c
}

// put adds a tensor of layer 0 that keeps its shape.
func (c *familyCase) put(from, to string, shape ...int) {
	c.stored[layer0+from], c.want["blk.0."+to] = shape, same(layer0+from, shape...)
}

// dense adds the norms and the network of layer 0.
func (c *familyCase) dense() {
	c.put("input_layernorm.weight", "attn_norm.weight", 16)
	c.put("post_attention_layernorm.weight", "ffn_norm.weight", 16)
	c.put("mlp.gate_proj.weight", "ffn_gate.weight", 24, 16)
	c.put("mlp.up_proj.weight", "ffn_up.weight", 24, 16)
	c.put("mlp.down_proj.weight", "ffn_down.weight", 16, 24)
}

// mistral3Case is Mistral Small as it is published.
func mistral3Case() familyCase {
	c := nestedMistral(`"model_type":"mistral","rope_theta":1e9,"sliding_window":null`)
	c.name, c.keys = "mistral small", map[string]any{"llama.rope.freq_base": float32(1e9),
		"llama.attention.key_length": uint32(4), "llama.rope.dimension_count": uint32(4)}
	return c
}

// ministral3Case is Ministral 3 as it is published.
func ministral3Case() familyCase {
	c := nestedMistral(`"model_type":"ministral3","rope_parameters":{"rope_type":"yarn","rope_theta":1000000.0,
		"factor":16.0,"original_max_position_embeddings":16,"beta_fast":32.0,"beta_slow":1.0,"mscale":1.0,
		"mscale_all_dim":1.0,"llama_4_scaling_beta":0.1}`)
	c.name, c.keys = "ministral3", map[string]any{"mistral3.rope.freq_base": float32(1e6),
		"mistral3.rope.scaling.type": "yarn", "mistral3.rope.scaling.factor": float32(16),
		"mistral3.rope.scaling.original_context_length": uint32(16),
		"mistral3.rope.scaling.yarn_log_multiplier":     float32(1),
		"mistral3.attention.temperature_scale":          float32(0.1)}
	return c
}

// nestedMistral is a model of Mistral's that also sees, whose language model has such further keys.
func nestedMistral(keys string) familyCase {
	const l = "language_model.model.layers.0."
	c := familyCase{
		config: `{"architectures":["Mistral3ForConditionalGeneration"],"model_type":"mistral3","text_config":{` + sizes +
			`,"intermediate_size":24,"head_dim":4,` + keys + `},"vision_config":{"model_type":"pixtral"}}`,
		stored: map[string][]int{"vision_tower.x": {2}, "multi_modal_projector.y": {2}},
		want: merge(wantAttention(l), map[string]wantTensor{
			"blk.0.attn_q.weight": mapped(l+"self_attn.q_proj.weight", halfSplit(4, 16), 16, 16),
			"blk.0.attn_k.weight": mapped(l+"self_attn.k_proj.weight", halfSplit(4, 16), 8, 16),
		}),
		notes: []string{"multi_modal_projector", "vision_tower"},
	}
	stored, want := c.stored, c.want
	c.stored, c.want = map[string][]int{}, map[string]wantTensor{}
	c.dense()
	for name, shape := range c.stored {
		stored["language_model."+name] = shape
	}
	for name, w := range c.want {
		from := w.from
		w.from = func(i int) (string, int) {
			name, at := from(i)
			return "language_model." + name, at
		}
		want[name] = w
	}
	for name, w := range map[string]string{"language_model.lm_head.weight": "output.weight",
		"language_model.model.embed_tokens.weight": "token_embd.weight"} {
		stored[name], want[w] = []int{vocab, 16}, same(name, vocab, 16)
	}
	stored["language_model.model.norm.weight"] = []int{16}
	want["output_norm.weight"] = same("language_model.model.norm.weight", 16)
	c.stored, c.want = merge(stored, attentionTensors(l)), want
	return c
}
