package hf

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/internal/logits"
)

// TestLfm2MoE: with experts that are all alike, a mixture gives the logits of the dense model.
func TestLfm2MoE(t *testing.T) {
	x := readFixture(t, "lfm2")
	ref := openReference(t, x.dir)
	for k, v := range map[string]any{
		"architectures": []string{"Lfm2MoeForCausalLM"}, "model_type": "lfm2_moe", "intermediate_size": 192,
		"moe_intermediate_size": 192, "num_experts": 3, "num_experts_per_tok": 2, "num_dense_layers": 1,
	} {
		x.config[k] = v
	}
	for layer := 1; layer < 4; layer++ {
		dir := fmt.Sprintf("model.layers.%d.feed_forward.", layer)
		for _, w := range []string{"w1", "w2", "w3"} {
			for e := range 3 {
				x.stored[fmt.Sprintf("%sexperts.%d.%s.weight", dir, e, w)] = x.stored[dir+w+".weight"]
			}
			delete(x.stored, dir+w+".weight")
		}
		small := func(n int) []byte {
			return encoded(t, "BF16", n, func(i int) float32 { return float32(i*7%5-2) / 16 })
		}
		x.stored[dir+"gate.weight"] = stTensor{"BF16", []int{3, 128}, small(3 * 128)}
		x.stored[dir+"expert_bias"] = stTensor{"BF16", []int{3}, small(3)}
	}
	got, _ := steps(t, startRunner(t, x.write(t, x.config, 1)), ref.ids("ids_9"), 0)
	if rms := logits.RelativeRMS(ref.floats("logits_9"), got); !(rms <= 2e-5) {
		t.Errorf("relative RMS of logits %.3g", rms)
	}
}

// TestNemotronMixture turns the networks of a fixture into mixtures of two experts, both of which are the network, so
// that the logits stay what they are: one by one, and stacked.
func TestNemotronMixture(t *testing.T) {
	x := readFixture(t, "nemotron_h")
	ref := openReference(t, x.dir)
	x.config["n_routed_experts"], x.config["num_experts_per_tok"], x.config["n_shared_experts"] = 2, 2, 0
	x.config["moe_intermediate_size"], x.config["norm_topk_prob"] = x.config["intermediate_size"], true
	for i, kind := range x.config["layers_block_type"].([]any) {
		if kind != "mlp" {
			continue
		}
		x.config["layers_block_type"].([]any)[i] = "moe"
		dir := fmt.Sprintf("backbone.layers.%d.mixer.", i)
		if _, ok := x.stored[dir+"up_proj.weight"]; !ok {
			t.Fatalf("the fixture has no %sup_proj.weight", dir)
		}
		for _, p := range []string{"up_proj", "down_proj"} {
			w := x.stored[dir+p+".weight"]
			delete(x.stored, dir+p+".weight")
			if i == 3 {
				x.stored[dir+"experts."+p] = stTensor{w.dtype, append([]int{2}, w.shape...),
					slices.Concat(w.data, w.data)}
				continue
			}
			for k := range 2 {
				x.stored[fmt.Sprintf("%sexperts.%d.%s.weight", dir, k, p)] = w
			}
		}
		small := func(n int) []byte {
			return encoded(t, "BF16", n, func(i int) float32 { return float32(i*7%5-2) / 16 })
		}
		x.stored[dir+"gate.weight"] = stTensor{"BF16", []int{2, 128}, small(2 * 128)}
		x.stored[dir+"gate.e_score_correction_bias"] = stTensor{"BF16", []int{2}, small(2)}
	}
	f := x.write(t, x.config, 1)
	if arch, _ := f.Meta.String("general.architecture"); arch != "nemotron_h_moe" {
		t.Errorf("the architecture is %q", arch)
	}
	got, _ := steps(t, startRunner(t, f), ref.ids("ids_9"), 0)
	if rms := logits.RelativeRMS(ref.floats("logits_9"), got); !(rms <= 2e-5) {
		t.Errorf("relative RMS of logits %.3g", rms)
	}
	x.config["moe_latent_size"] = 7
	b, err := json.Marshal(x.config)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Open(makeFolder(t, string(b), x.stored))
	if err == nil || !strings.Contains(err.Error(), "moe_latent_size") {
		t.Errorf("with moe_latent_size: %v", err)
	}
}

// TestLayerSpellings: older folders say in other words which layers are of which kind.
func TestLayerSpellings(t *testing.T) {
	for _, c := range []struct {
		model, old string
		value      any
		without    []string
	}{
		{"nemotron_h", "hybrid_override_pattern", "M-*-M-", []string{"layers_block_type"}},
		{"lfm2", "full_attn_idxs", []int{1, 3}, []string{"layer_types"}},
		{"granite4_moe", "layer_types", []string{"mamba", "mamba", "attention", "mamba"}, nil},
		{"bamba", "attn_rotary_emb", 16, []string{"partial_rotary_factor", "rope_parameters"}},
		{"mamba2", "time_step_limit", []any{0, "Infinity"}, nil}, // a bare word is a text by then
	} {
		t.Run(c.model+"/"+c.old, func(t *testing.T) {
			x := readFixture(t, c.model)
			plain := x.write(t, x.config, 1)
			for _, k := range c.without {
				delete(x.config, k)
			}
			if x.config[c.old] = c.value; c.model == "bamba" {
				x.config["rope_theta"] = 10000
			}
			sameModel(t, plain, x.write(t, x.config, 1))
		})
	}
}

// TestFalconH1Tied: the output matrix of a tied model has a factor of its own, so that it is a tensor of its own.
func TestFalconH1Tied(t *testing.T) {
	x := readFixture(t, "falcon_h1")
	x.config["tie_word_embeddings"] = true
	x.stored["lm_head.weight"] = x.stored["model.embed_tokens.weight"]
	f := x.write(t, x.config, 1)
	first := func(name string) float32 {
		info, ok := f.Tensor(name)
		if !ok {
			t.Fatalf("there is no tensor %q", name)
		}
		row := make([]float32, info.Shape.Last())
		if err := f.ReadRows(info, row, 5); err != nil {
			t.Fatal(err)
		}
		return row[slices.IndexFunc(row, func(v float32) bool { return v != 0 })]
	}
	if a, b := first("token_embd.weight")/1.7, first("output.weight")/0.7; !(a-b < 1e-6 && b-a < 1e-6) {
		t.Errorf("embedding %v and output %v without their factors", a, b)
	}
}

// TestUnknownSSM opens state-space models with a part that nothing here has: an error says which.
func TestUnknownSSM(t *testing.T) {
	for _, c := range []struct {
		model, key string
		value      any
		want       string
	}{
		{"mamba2", "time_step_limit", []float64{0, 0.1}, "time_step_limit"},
		{"mamba2", "hidden_act", "gelu", "not silu"},
		{"mamba2", "n_groups", 3, "not a multiple of 3 groups"},
		{"mamba2", "num_heads", 7, "the configuration wants"},
		{"nemotron_h", "layers_block_type", []string{"mamba", "moe", "attention", "mlp"}, "layer 3 is dense"},
		{"nemotron_h", "layers_block_type", []string{"rnn"}, "rnn"},
		{"nemotron_h", "mlp_hidden_act", "silu", "not relu2"},
		{"falcon_h1", "mamba_rms_norm", true, "mamba_norm_before_gate"},
		{"falcon_h1", "mlp_multipliers", []float64{1}, "not 2 factors"},
		{"bamba", "attn_layer_indices", []int{4}, "none of 4 layers"},
		{"granite4_moe", "position_embedding_type", "alibi", "alibi"},
		{"lfm2", "layer_types", []string{"conv", "ssm", "conv", "conv"}, "ssm"},
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
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want it to say %q", err, c.want)
			}
		})
	}
}
