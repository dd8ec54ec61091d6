package hf

import (
	"fmt"
	"strings"
	"testing"
)

// gemma2Case is a model whose scale of attention is not that of its heads.
func gemma2Case() familyCase {
	c := gemma3Case()
	c.name = "gemma2"
	c.config = `{"architectures":["Gemma2ForCausalLM"],` + sizes + `,"intermediate_size":24,"head_dim":4,"query_pre_attn_scalar":64,"attn_logit_softcapping":50.0,"final_logit_softcapping":30.0,
		"sliding_window":8,"layer_types":["sliding_attention"]}`
	c.notes = nil
	plain := func(name string) string { return strings.TrimPrefix(name, "language_model.") }
	stored, want := map[string][]int{}, map[string]wantTensor{}
	for name, shape := range c.stored {
		if strings.HasPrefix(name, "language_model.") && !strings.Contains(name, "_norm.weight") {
			stored[plain(name)] = shape
		}
	}
	for name, w := range c.want {
		if strings.Contains(name, "attn_q_norm") || strings.Contains(name, "attn_k_norm") {
			continue
		}
		from := w.from
		w.from = func(i int) (string, int) {
			name, at := from(i)
			return plain(name), at
		}
		want[name] = w
	}
	c.stored, c.want = stored, want
	c.keys = map[string]any{"gemma2.attn_logit_softcapping": float32(50),
		"gemma2.final_logit_softcapping": float32(30), "gemma2.attention.sliding_window": uint32(8),
		"gemma2.attention.scale": float32(0.125)}
	return c
}

// gemma4Case has a sliding layer with heads of 4 and a full one with heads of 8 that takes its values from its keys,
// embeddings of layers, and experts.
func gemma4Case() familyCase {
	c := familyCase{name: "gemma4",
		config: `{"architectures":["Gemma4ForConditionalGeneration"],"text_config":{` + strings.Replace(sizes, `"num_hidden_layers":1`, `"num_hidden_layers":2`, 1) + `,"intermediate_size":24,"head_dim":4,"global_head_dim":8,
			"layer_types":["sliding_attention","full_attention"],"sliding_window":8,"final_logit_softcapping":30.0,"hidden_size_per_layer_input":4,"enable_moe_block":true,"num_experts":2,"top_k_experts":1,"moe_intermediate_size":24,
			"attention_k_eq_v":true,"rope_parameters":{"full_attention":{"rope_type":"proportional","rope_theta":1000000.0,"partial_rotary_factor":0.25},"sliding_attention":{"rope_type":"default","rope_theta":10000.0}}}}`,
		stored: map[string][]int{}, want: map[string]wantTensor{"rope_freqs.weight": {shape: []int{4}}},
		keys: map[string]any{"gemma4.attention.key_length": uint32(8), "gemma4.attention.key_length_swa": uint32(4),
			"gemma4.rope.dimension_count": uint32(8), "gemma4.rope.dimension_count_swa": uint32(4),
			"gemma4.rope.freq_base": float32(1e6), "gemma4.rope.freq_base_swa": float32(1e4),
			"gemma4.embedding_length_per_layer_input": uint32(4), "gemma4.expert_count": uint32(2),
			"gemma4.expert_used_count": uint32(1), "gemma4.expert_feed_forward_length": uint32(24),
			"gemma4.attention.shared_kv_layers": uint32(0), "gemma4.final_logit_softcapping": float32(30)},
		notes: []string{"model.vision_tower."},
	}
	put := func(from, to string, shape ...int) {
		from = "model.language_model." + from
		c.stored[from], c.want[to] = shape, same(from, shape...)
	}
	put("embed_tokens.weight", "token_embd.weight", vocab, 16)
	put("norm.weight", "output_norm.weight", 16)
	put("embed_tokens_per_layer.weight", "per_layer_token_embd.weight", vocab, 8)
	put("per_layer_model_projection.weight", "per_layer_model_proj.weight", 8, 16)
	put("per_layer_projection_norm.weight", "per_layer_proj_norm.weight", 4)
	for i, dim := range []int{4, 8} {
		l, blk := fmt.Sprintf("layers.%d.", i), fmt.Sprintf("blk.%d.", i)
		put(l+"self_attn.q_proj.weight", blk+"attn_q.weight", 4*dim, 16)
		put(l+"self_attn.k_proj.weight", blk+"attn_k.weight", 8, 16) // two KV heads, then one
		if i == 0 {
			put(l+"self_attn.v_proj.weight", blk+"attn_v.weight", 8, 16)
		}
		put(l+"self_attn.o_proj.weight", blk+"attn_output.weight", 16, 4*dim)
		put(l+"self_attn.q_norm.weight", blk+"attn_q_norm.weight", dim)
		put(l+"self_attn.k_norm.weight", blk+"attn_k_norm.weight", dim)
		for from, to := range map[string]string{"input_layernorm": "attn_norm",
			"post_attention_layernorm": "post_attention_norm", "pre_feedforward_layernorm": "ffn_norm",
			"post_feedforward_layernorm": "post_ffw_norm", "post_feedforward_layernorm_1": "post_ffw_norm_1",
			"post_feedforward_layernorm_2": "post_ffw_norm_2",
			"pre_feedforward_layernorm_2":  "pre_ffw_norm_2", "post_per_layer_input_norm": "post_norm"} {
			put(l+from+".weight", blk+to+".weight", 16)
		}
		put(l+"mlp.gate_proj.weight", blk+"ffn_gate.weight", 24, 16)
		put(l+"mlp.up_proj.weight", blk+"ffn_up.weight", 24, 16)
		put(l+"mlp.down_proj.weight", blk+"ffn_down.weight", 16, 24)
		put(l+"router.proj.weight", blk+"ffn_gate_inp.weight", 2, 16)
		put(l+"router.scale", blk+"ffn_gate_inp.scale", 16)
		put(l+"router.per_expert_scale", blk+"ffn_down_exps.scale", 2)
		put(l+"experts.gate_up_proj", blk+"ffn_gate_up_exps.weight", 2, 48, 16)
		put(l+"experts.down_proj", blk+"ffn_down_exps.weight", 2, 16, 24)
		put(l+"per_layer_input_gate.weight", blk+"inp_gate.weight", 4, 16)
		put(l+"per_layer_projection.weight", blk+"proj.weight", 16, 4)
		put(l+"layer_scalar", blk+"layer_output_scale.weight", 1)
	}
	c.stored["model.vision_tower.x"] = []int{2}
	return c
}

// TestGemma4PerLayer checks the keys that are lists, and the factors that keep most pairs of wide heads still.
func TestGemma4PerLayer(t *testing.T) {
	c := gemma4Case()
	stored := map[string]stTensor{}
	for name, shape := range c.stored {
		stored[name] = sampleTensor(t, name, shape...)
	}
	f := openFolder(t, makeFolder(t, c.config, stored))
	kv, err := f.Meta.Ints("gemma4.attention.head_count_kv")
	if err != nil || fmt.Sprint(kv) != "[2 1]" {
		t.Errorf("head_count_kv %v, %v", kv, err)
	}
	sliding, err := f.Meta.Bools("gemma4.attention.sliding_window_pattern")
	if err != nil || fmt.Sprint(sliding) != "[true false]" {
		t.Errorf("sliding_window_pattern %v, %v", sliding, err)
	}
	if x := readFloats(t, f, "rope_freqs.weight"); fmt.Sprint(x) != "[1 1e+30 1e+30 1e+30]" {
		t.Errorf("rope_freqs %v", x)
	}
}
