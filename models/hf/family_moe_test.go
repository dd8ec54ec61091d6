package hf

import "strings"

// twoLayers are sizes with a second layer.
var twoLayers = strings.Replace(sizes, `"num_hidden_layers":1`, `"num_hidden_layers":2`, 1)

// dots1Case has a dense layer and one of experts.
func dots1Case() familyCase {
	c := familyCase{
		name: "dots1",
		config: `{"architectures":["Dots1ForCausalLM"],` + twoLayers + `,"intermediate_size":24,"head_dim":4,
			"moe_intermediate_size":24,"n_routed_experts":3,"num_experts_per_tok":2,"n_shared_experts":2,
			"first_k_dense_replace":1,"norm_topk_prob":true,"routed_scaling_factor":2.5,"n_group":1,"topk_group":1,
			"scoring_func":"noaux_tc","rope_theta":1000000,"sliding_window":null}`,
		stored: merge(globals),
		want:   merge(wantGlobals),
		keys: map[string]any{"dots1.leading_dense_block_count": uint32(1), "dots1.expert_count": uint32(3),
			"dots1.expert_used_count": uint32(2), "dots1.expert_shared_count": uint32(2),
			"dots1.expert_weights_scale": float32(2.5), "dots1.expert_weights_norm": true,
			"dots1.expert_gating_func": uint32(2), "dots1.expert_feed_forward_length": uint32(24)},
	}
	layer1 := strings.Replace(layer0, "0", "1", 1)
	for i, l := range []string{layer0, layer1} {
		at := []string{"blk.0.", "blk.1."}[i]
		put := func(from, to string, shape ...int) {
			c.stored[l+from], c.want[at+to] = shape, same(l+from, shape...)
		}
		for name, shape := range attentionTensors("") {
			to := strings.NewReplacer("self_attn.", "attn_", "_proj", "", "o_proj", "output").Replace(name)
			put(name, to, shape...)
		}
		put("self_attn.q_norm.weight", "attn_q_norm.weight", 4)
		put("self_attn.k_norm.weight", "attn_k_norm.weight", 4)
		put("input_layernorm.weight", "attn_norm.weight", 16)
		put("post_attention_layernorm.weight", "ffn_norm.weight", 16)
		from, to := "mlp.", ""
		if i == 1 {
			from, to = "mlp.shared_experts.", "_shexp"
			put("mlp.gate.weight", "ffn_gate_inp.weight", 3, 16)
			put("mlp.gate.e_score_correction_bias", "exp_probs_b.bias", 3)
		}
		put(from+"gate_proj.weight", "ffn_gate"+to+".weight", 24, 16)
		put(from+"up_proj.weight", "ffn_up"+to+".weight", 24, 16)
		put(from+"down_proj.weight", "ffn_down"+to+".weight", 16, 24)
	}
	experts := layer1 + "mlp.experts."
	c.stored = merge(c.stored, expertTensors(experts, 3, "gate_proj", "up_proj", "down_proj"))
	for name, w := range wantExperts(experts, 3, "gate_proj", "up_proj", "down_proj") {
		c.want[strings.Replace(name, "0", "1", 1)] = w
	}
	return c
}

// phimoeCase has factors of LongRoPE, and biases nearly everywhere.
func phimoeCase() familyCase {
	c := familyCase{
		name: "phimoe",
		config: `{"architectures":["PhiMoEForCausalLM"],` + sizes + `,"intermediate_size":24,"num_local_experts":3,
			"num_experts_per_tok":2,"router_jitter_noise":0.02,"sliding_window":64,"lm_head_bias":true,
			"attention_bias":true,"rope_theta":10000.0,"original_max_position_embeddings":16,
			"rope_scaling":{"type":"longrope","long_factor":[2,3],
			"short_factor":[1,1.5],"long_mscale":1.25,"short_mscale":1.25,"original_max_position_embeddings":8}}`,
		stored: merge(globals, expertTensors(layer0+"block_sparse_moe.experts.", 3, "w1", "w3", "w2")),
		want:   merge(wantGlobals, wantExperts(layer0+"block_sparse_moe.experts.", 3, "w1", "w3", "w2")),
		keys: map[string]any{"phimoe.rope.scaling.attn_factor": float32(1.25),
			"phimoe.rope.scaling.original_context_length": uint32(8), "phimoe.router_jitter_noise": float32(0.02),
			"phimoe.attention.layer_norm_rms_epsilon": float32(1e-5), "phimoe.expert_count": uint32(3),
			"phimoe.rope.scaling.type": "longrope", "phimoe.attention.sliding_window": uint32(64)},
		notes: []string{"route by softmax"},
	}
	put := func(from, to string, shape ...int) { c.stored[from], c.want[to] = shape, same(from, shape...) }
	for _, n := range []string{"q", "k", "v", "o"} {
		from, to := layer0+"self_attn."+n+"_proj.", "blk.0.attn_"+strings.Replace(n, "o", "output", 1)
		shape := attentionTensors(layer0)[from+"weight"]
		put(from+"weight", to+".weight", shape...)
		put(from+"bias", to+".bias", shape[0])
	}
	for _, end := range []string{"weight", "bias"} {
		put(layer0+"input_layernorm."+end, "blk.0.attn_norm."+end, 16)
		put(layer0+"post_attention_layernorm."+end, "blk.0.ffn_norm."+end, 16)
		put("model.norm."+end, "output_norm."+end, 16)
	}
	put("lm_head.bias", "output.bias", vocab)
	put(layer0+"block_sparse_moe.gate.weight", "blk.0.ffn_gate_inp.weight", 3, 16)
	for _, name := range []string{"long", "short"} {
		c.want["rope_factors_"+name+".weight"] = wantTensor{shape: []int{2}}
	}
	return c
}

// granitemoeCase is a mixture of Granite 3: gate and up of each expert are one projection, and there is no shared one.
func granitemoeCase() familyCase {
	const experts = "block_sparse_moe."
	half := func(h int) wantTensor { // element i is of expert i/(24*16)
		return mapped(layer0+experts+"input_linear.weight",
			func(i int) int { return (i/(24*16)*2+h)*24*16 + i%(24*16) }, 3, 24, 16)
	}
	c := familyCase{
		name: "granitemoe",
		config: `{"architectures":["GraniteMoeForCausalLM"],` + sizes + `,"intermediate_size":24,"num_local_experts":3,
			"num_experts_per_tok":2,"rope_theta":1500000,"attention_multiplier":0.015625,"embedding_multiplier":12.0,
			"residual_multiplier":0.22,"logits_scaling":6.0,"router_aux_loss_coef":0.0}`,
		stored: merge(globals, attentionTensors(layer0), map[string][]int{
			layer0 + experts + "input_linear.weight": {3, 48, 16}}),
		want: merge(wantGlobals, wantAttention(layer0), map[string]wantTensor{
			"blk.0.attn_q.weight":        mapped(layer0+"self_attn.q_proj.weight", halfSplit(4, 16), 16, 16),
			"blk.0.attn_k.weight":        mapped(layer0+"self_attn.k_proj.weight", halfSplit(4, 16), 8, 16),
			"blk.0.ffn_gate_exps.weight": half(0), "blk.0.ffn_up_exps.weight": half(1)}),
		keys: map[string]any{"granitemoe.expert_count": uint32(3), "granitemoe.expert_used_count": uint32(2),
			"granitemoe.feed_forward_length": uint32(24), "granitemoe.attention.scale": float32(0.015625),
			"granitemoe.embedding_scale": float32(12), "granitemoe.residual_scale": float32(0.22),
			"granitemoe.logit_scale": float32(6), "granitemoe.rope.freq_base": float32(1.5e6)},
	}
	c.put("input_layernorm.weight", "attn_norm.weight", 16)
	c.put("post_attention_layernorm.weight", "ffn_norm.weight", 16)
	c.put(experts+"router.layer.weight", "ffn_gate_inp.weight", 3, 16)
	c.put(experts+"output_linear.weight", "ffn_down_exps.weight", 3, 16, 24)
	return c
}
