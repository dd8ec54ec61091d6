package hf

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// TestUnknownVariants opens models of a known class with a part that nothing here has: an error says which.
func TestUnknownVariants(t *testing.T) {
	for _, c := range []struct {
		model, key string
		value      any
	}{
		{"smollm3", "no_rope_layers", []int{1, 0, 1, 0}},
		{"glm4_moe", "n_group", 2},
		{"deepseek_v3", "rope_interleave", false},
		{"deepseek_v3", "scoring_func", "relu"},
		{"deepseek_v3", "topk_method", "group_limited_greedy"},
		{"deepseek_v3", "moe_layer_freq", 2},
		{"deepseek_v3", "kv_lora_rank", nil},
		{"kimi_linear", "mla_use_nope", false},
		{"kimi_linear", "linear_num_heads", 2},
		{"kimi_linear", "layer_types", nil},
		{"kimi_linear", "moe_router_activation_func", "softmax"},
		{"glm4_moe_lite", "mlp_layer_types", []string{"dense", "sparse", "dense"}},
		{"cohere2", "use_qk_norm", true},
		{"minimax_m2", "scoring_func", "softmax"},
		{"olmo_hybrid", "layer_types", nil},
		{"olmo_hybrid", "linear_value_head_dim", nil},
		{"stablelm", "qk_layernorm", true},
		{"stablelm", "use_parallel_residual", true},
		{"granite4_attn", "layer_types", []string{"mamba", "attention"}},
		{"granite4_attn", "num_local_experts", 8},
		{"granite4_attn", "position_embedding_type", "nope"},
	} {
		t.Run(c.model+"/"+c.key, func(t *testing.T) {
			x := readFixture(t, c.model)
			x.config[c.key] = c.value
			config, err := json.Marshal(x.config)
			if err != nil {
				t.Fatal(err)
			}
			f, err := Open(makeFolder(t, string(config), x.stored))
			if err == nil {
				f.Close()
			}
			if err == nil || !strings.Contains(err.Error(), c.key) {
				t.Errorf("error %v, want one about %s", err, c.key)
			}
		})
	}
}

// TestSkippedDrafts: a layer for speculation behind the others changes nothing but the notes.
func TestSkippedDrafts(t *testing.T) {
	x := readFixture(t, "glm4_moe")
	plain := x.write(t, x.config, 1)
	x.config["num_nextn_predict_layers"] = 1
	x.stored["model.layers.3.eh_proj.weight"] = sampleTensor(t, "eh_proj", 128, 256)
	drafted := x.write(t, x.config, 1)
	sameModel(t, plain, drafted)
	note := func(s string) bool { return strings.Contains(s, "model.layers.3.") }
	if slices.ContainsFunc(plain.Notes, note) || !slices.ContainsFunc(drafted.Notes, note) {
		t.Errorf("notes %q and %q", plain.Notes, drafted.Notes)
	}
}

// TestKimiSpelling writes the configuration of Kimi Linear as its owner's files have it.
func TestKimiSpelling(t *testing.T) {
	x := readFixture(t, "kimi_linear")
	want := x.write(t, x.config, 1)
	c := x.config
	for _, key := range []string{"linear_head_dim", "linear_conv_kernel_dim", "linear_num_heads", "layer_types",
		"mlp_layer_types"} {
		delete(c, key)
	}
	c["linear_attn_config"] = map[string]any{"head_dim": 32, "num_heads": 4, "short_conv_kernel_size": 4,
		"kda_layers": []int{1, 2, 3}, "full_attn_layers": []int{4}}
	c["first_k_dense_replace"], c["moe_router_activation_func"] = 1, "sigmoid"
	for _, name := range sortedKeys(x.stored) {
		if rest, ok := strings.CutPrefix(name, "model.layers.0.block_sparse_moe."); ok {
			x.stored["model.layers.0.mlp."+rest] = x.stored[name]
			delete(x.stored, name)
		}
	}
	sameModel(t, want, x.write(t, c, 1))
}
