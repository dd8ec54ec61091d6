package models_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/internal/tiny"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/tensor"
)

// missing is the value that deletes a key.
var missing = struct{}{}

func set(t testing.TB, m *gguf.Meta, key string, v any) {
	t.Helper()
	if v == missing {
		m.Delete(key)
		return
	}
	if err := m.Set(key, v); err != nil {
		t.Fatal(err)
	}
}

// TestBadMeta checks what each architecture says of metadata that is wrong in one place.
func TestBadMeta(t *testing.T) {
	type bad struct {
		key  string
		v    any
		want string // in the error, besides the architecture
	}
	common := []bad{
		{"block_count", missing, "block_count"},
		{"block_count", uint32(0), "block_count\" is 0, outside 1..1024"},
		{"block_count", uint32(100000), "outside 1..1024"},
		{"block_count", "two", "a signed integer"},
		{"nextn_predict_layers", uint32(8), "leaves no layer"},
		{"embedding_length", missing, "embedding_length"},
		{"embedding_length", uint32(0), "embedding_length"},
		{"embedding_length", int64(-64), "embedding_length"},
		{"embedding_length", uint64(math.MaxUint64), "embedding_length"},
		{"embedding_length", uint64(1 << 40), "embedding_length"},
		{"context_length", missing, "context_length"},
		{"context_length", uint32(0), "context_length"},
		{"context_length", uint64(1 << 50), "context_length"},
		{"vocab_size", missing, "vocab_size"},
		{"vocab_size", uint32(0), "vocab_size"},
		{"vocab_size", uint32(1 << 30), "vocab_size"},
		{"attention.head_count", missing, "attention.head_count"},
		{"attention.head_count", uint32(0), "attention.head_count"},
		{"attention.head_count", uint32(1 << 20), "attention.head_count"},
		{"attention.head_count", []int32{4, 3}, "different values"},
		{"attention.head_count_kv", uint32(0), "attention.head_count_kv"},
		{"attention.head_count_kv", uint32(8), "attention.head_count_kv"},
		{"attention.key_length", uint32(0), "attention.key_length"},
		{"attention.key_length", uint64(1 << 60), "attention.key_length"},
		{"attention.scale", float32(-1), "attention.scale"},
		{"attention.layer_norm_rms_epsilon", missing, "layer_norm_rms_epsilon"},
		{"attention.layer_norm_rms_epsilon", float32(math.NaN()), "layer_norm_rms_epsilon"},
		{"attention.layer_norm_rms_epsilon", float32(-1), "layer_norm_rms_epsilon"},
		{"rope.dimension_count", uint32(0), "rope.dimension_count"},
		{"rope.dimension_count", uint32(1000), "rope.dimension_count"},
	}
	rotary := []bad{
		{"rope.dimension_count", uint32(7), "odd"},
		{"rope.freq_base", float32(0), "rope.freq_base"},
		{"rope.freq_base", float32(math.Inf(1)), "rope.freq_base"},
		{"rope.scaling.type", "magic", `"magic" is not known`},
	}
	grouped := []bad{
		{"attention.head_count_kv", []int32{}, "empty list"},
		{"attention.head_count_kv", uint32(3), "not a multiple of attention.head_count_kv 3"},
		{"attention.value_length", uint32(24), "attention.value_length 24 differs"},
	}
	latent := []bad{
		{"attention.kv_lora_rank", missing, "attention.kv_lora_rank"},
		{"attention.kv_lora_rank", uint32(0), "attention.kv_lora_rank"},
		{"attention.q_lora_rank", uint64(1 << 40), "attention.q_lora_rank"},
		{"attention.key_length_mla", missing, "convert the model anew"},
		{"attention.key_length_mla", uint32(8), "rope.dimension_count"},
		{"attention.value_length_mla", missing, "attention.value_length_mla"},
		{"attention.head_count_kv", uint32(4), "attention.head_count_kv is 4, want 1"},
		{"attention.key_length", uint32(24), "attention.key_length is 24, want 40"},
		{"attention.value_length", uint32(16), "attention.value_length is 16, want 32"},
	}
	dense := []bad{
		{"feed_forward_length", missing, "feed_forward_length"},
		{"feed_forward_length", uint32(0), "feed_forward_length"},
		{"feed_forward_length", []int32{96}, ""}, // one for all layers
		{"feed_forward_length", []int32{96, 96, 96, 96, 96, 96}, ""},
		{"feed_forward_length", []int32{}, "feed_forward_length"},
		{"feed_forward_length", []int32{96, -1, 96, 96, 96, 96}, "is -1"},
	}
	moe := []bad{
		{"expert_used_count", missing, "expert_used_count"},
		{"expert_used_count", uint32(0), "expert_used_count"},
		{"expert_used_count", uint32(7), "is 7, outside 1.."},
		{"expert_count", uint32(1 << 20), "expert_count"},
		{"expert_feed_forward_length", uint32(0), "expert_feed_forward_length"},
		{"expert_weights_scale", float32(math.NaN()), "expert_weights_scale"},
	}
	groups := []bad{
		{"expert_group_count", uint32(4), "expert_count 6 is not a multiple of expert_group_count 4"},
		{"expert_group_count", uint32(6), ""}, // of one expert each
		{"expert_group_used_count", missing, "expert_group_used_count"},
		{"expert_group_used_count", uint32(4), "expert_group_used_count"},
		{"expert_used_count", uint32(5), "expert_used_count 5 is more than 2 groups of 2 experts hold"},
	}
	delta := []bad{
		{"ssm.group_count", missing, "ssm.group_count"},
		{"ssm.group_count", uint32(0), "ssm.group_count"},
		{"ssm.group_count", uint32(4), "not a multiple of ssm.group_count 4"},
		{"ssm.time_step_rank", uint32(0), "ssm.time_step_rank"},
		{"ssm.state_size", uint64(1 << 40), "ssm.state_size"},
		{"ssm.inner_size", uint32(95), "ssm.inner_size 95 is not"},
		{"ssm.conv_kernel", uint32(1), "ssm.conv_kernel"},
		{"ssm.conv_kernel", uint32(1 << 30), "ssm.conv_kernel"},
		{"ssm.v_head_reordered", uint32(1), "a bool"},
		{"full_attention_interval", uint32(0), "full_attention_interval"},
		{"attention.recurrent_layers", []bool{true}, "lists 1 of 4"},
		{"attention.recurrent_layers", []int32{1, 1, 1, 0}, "a bool"},
	}
	ssm := []bad{
		{"ssm.group_count", missing, "ssm.group_count"},
		{"ssm.group_count", uint32(0), "ssm.group_count"},
		{"ssm.group_count", uint32(3), "no multiples of each other"},
		{"ssm.time_step_rank", uint32(0), "ssm.time_step_rank"},
		{"ssm.state_size", uint64(1 << 40), "ssm.state_size"},
		{"ssm.inner_size", uint32(95), "ssm.inner_size 95"},
		{"ssm.conv_kernel", uint32(1), "ssm.conv_kernel"},
		{"ssm.conv_kernel", uint32(1 << 30), "ssm.conv_kernel"},
	}
	noKeyLength := []bad{
		{"attention.head_count", uint32(6), "embedding_length 64 is not a multiple of attention.head_count 6"},
		{"embedding_length", uint32(2), "not a multiple of attention.head_count"},
	}
	window := []bad{
		{"attention.sliding_window", int32(-1), "attention.sliding_window"},
		{"attention.sliding_window", uint64(1 << 40), "attention.sliding_window"},
		{"attention.sliding_window", "wide", "attention.sliding_window"},
	}
	pattern := append([]bad{
		{"attention.sliding_window_pattern", uint32(0), "attention.sliding_window_pattern"},
		{"attention.sliding_window_pattern", uint32(1), ""}, // no layer slides
		{"attention.sliding_window_pattern", uint32(1 << 20), "attention.sliding_window_pattern"},
		{"attention.sliding_window_pattern", []bool{true}, "lists 1 of"},
		{"attention.sliding_window_pattern", []string{"sliding"}, "attention.sliding_window_pattern"},
	}, window...)
	factors := []bad{
		{"embedding_scale", float32(0), "embedding_scale"},
		{"embedding_scale", float32(math.NaN()), "embedding_scale"},
		{"residual_scale", float32(-1), "residual_scale"},
		{"logit_scale", float32(0), "logit_scale"},
		{"logit_scale", float32(math.Inf(1)), "logit_scale"},
	}
	own := map[string][]bad{
		"mistral3": {
			{"attention.temperature_scale", float32(-1), "attention.temperature_scale"},
			{"attention.temperature_length", uint32(0), "attention.temperature_length"},
			{"context_length", uint32(1 << 23), "context_length 8388608 is more than"},
			{"rope.scaling.yarn_log_multiplier", float32(math.NaN()), "yarn_log_multiplier"},
		},
		"deepseek2": {
			{"attention.temperature_scale", float32(-1), "attention.temperature_scale"},
		},
		"kimi-linear": {
			{"kda.head_dim", missing, "kda.head_dim"},
			{"ssm.conv_kernel", uint32(1), "ssm.conv_kernel"},
			{"attention.head_count_kv", []int32{0, 1}, "attention.head_count_kv"},
		},
		"qwen2moe": {
			{"expert_shared_feed_forward_length", missing, "expert_shared_feed_forward_length"},
			{"expert_weights_norm", "yes", "a bool"},
		},
		"gemma2": append([]bad{
			{"attn_logit_softcapping", float32(-1), "attn_logit_softcapping"},
			{"final_logit_softcapping", float32(math.NaN()), "final_logit_softcapping"},
		}, pattern...),
		"gemma3": append([]bad{
			{"rope.freq_base_swa", float32(0), "rope.freq_base_swa"},
			{"rope.dimension_count_swa", uint32(5), "odd"},
			{"final_logit_softcapping", float32(-30), "final_logit_softcapping"},
		}, pattern...),
		"gemma4": append([]bad{
			{"attention.sliding_window_pattern", missing, "attention.sliding_window_pattern is missing"},
			{"attention.key_length_swa", uint32(0), "attention.key_length_swa"},
			{"attention.key_length_swa", uint32(1 << 30), "attention.key_length_swa"},
			{"attention.value_length_swa", uint32(8), "attention.value_length_swa 8 differs"},
			{"attention.head_count_kv", []int32{2, 0, 2, 2, 2, 2}, "attention.head_count_kv 0 of layer 1"},
			{"attention.head_count_kv", []int32{4, 1, 3, 2, 2, 2}, "attention.head_count_kv 3 of layer 2"},
			{"attention.head_count_kv", []int32{2, 1}, "lists 2 layers of 6"},
			{"attention.shared_kv_layers", uint32(6), "attention.shared_kv_layers"},
			{"attention.shared_kv_layers", uint32(5), "shares keys and values, but no layer of its kind"},
			{"embedding_length_per_layer_input", int32(-1), "embedding_length_per_layer_input"},
			{"embedding_length_per_layer_input", uint64(1 << 40), "embedding_length_per_layer_input"},
			{"final_logit_softcapping", float32(math.NaN()), "final_logit_softcapping"},
		}, window...),
		"bert": {
			{"attention.causal", true, "makes no encoder"},
			{"context_length", uint32(0), "context_length"},
		},
		"gptneox":     {{"hidden_activation", "relu", "\"relu\" is not known"}},
		"modern-bert": append([]bad{{"hidden_activation", "relu", "\"relu\" is not known"}}, pattern...),
		"gemma-embedding": append([]bad{
			{"dense_2_feat_in", uint32(63), "what stands before it makes 64"},
			{"dense_3_feat_out", uint32(63), "embedding_length is 64"},
			{"dense_2_feat_out", uint64(1 << 40), "dense_2_feat_out"},
		}, pattern...),
		"gpt-oss":    pattern,
		"gptoss":     pattern,
		"phi3":       window,
		"granite":    factors,
		"granitemoe": factors,
	}
	shortConv := []bad{
		{"shortconv.l_cache", missing, "shortconv.l_cache"},
		{"shortconv.l_cache", uint32(1), "shortconv.l_cache"},
		{"attention.head_count_kv", []int32{0, 2}, "lists 2 layers of 4"},
	}
	own["lfm2"], own["lfm2moe"] = shortConv, shortConv
	// unread reports whether an architecture has no use for a key of the common ones.
	unread := func(arch, key string) bool {
		rotated := arch != "mamba2" && !strings.HasPrefix(arch, "nemotron_h") && arch != "granitehybrid"
		return !rotated && strings.HasPrefix(key, "rope.") || arch == "mamba2" && strings.HasPrefix(key, "attention.") &&
			key != "attention.layer_norm_rms_epsilon"
	}
	for _, arch := range tiny.Archs {
		name, _, _ := strings.Cut(arch, "/")
		has := func(key string) bool { return tiny.Meta(arch).Has(name + "." + key) }
		cases := append(append([]bad{}, common...), own[name]...)
		if has("expert_count") {
			cases = append(cases, moe...)
		}
		if (!has("expert_count") || arch == "gemma4/moe") && arch != "mamba2" {
			cases = append(cases, dense...)
		}
		if has("full_attention_interval") {
			cases = append(cases, delta...)
		} else if has("ssm.group_count") {
			cases = append(cases, ssm...)
		}
		if name != "kimi-linear" {
			cases = append(cases, rotary...)
		}
		if has("attention.key_length_mla") {
			cases = append(cases, latent...)
		} else {
			cases = append(cases, grouped...)
			if !has("attention.key_length") && arch != "mamba2" {
				cases = append(cases, noKeyLength...)
			}
		}
		if has("expert_group_count") {
			cases = append(cases, groups...)
		}
		for _, c := range cases {
			if has("attention.layer_norm_epsilon") {
				c.key = strings.Replace(c.key, "layer_norm_rms_epsilon", "layer_norm_epsilon", 1)
				c.want = strings.Replace(c.want, "layer_norm_rms_epsilon", "layer_norm_epsilon", 1)
			}
			if unread(arch, c.key) ||
				strings.HasPrefix(arch, "nemotron_h") && c.key == "feed_forward_length" && c.v == uint32(0) {
				continue
			}
			if arch == "bert" && strings.HasPrefix(c.key, "rope.") {
				continue // it rotates nothing
			}
			if (arch == "gemma3" || arch == "gemma-embedding") && c.key == "attention.layer_norm_rms_epsilon" &&
				c.v == missing {
				c.want = "" // it has a default
			}
			t.Run(fmt.Sprintf("%s/%s=%v", arch, c.key, c.v), func(t *testing.T) {
				meta := tiny.Meta(arch)
				set(t, meta, name+"."+c.key, c.v)
				_, err := models.New(meta)
				if c.want == "" {
					if err != nil {
						t.Error(err)
					}
					return
				}
				if err == nil || !strings.Contains(err.Error(), c.want) ||
					!strings.HasPrefix(err.Error(), "models: "+name+": ") {
					t.Errorf("error %v, want it to say %q", err, c.want)
				}
			})
		}
	}
}

func TestNewErrors(t *testing.T) {
	for _, c := range []struct {
		name string
		set  map[string]any
		want string
	}{
		{"no architecture", map[string]any{"general.architecture": missing}, "general.architecture"},
		{"unknown architecture", map[string]any{"general.architecture": "rwkv6"},
			`architecture "rwkv6" is not supported (supported: `},
		{"architecture not a string", map[string]any{"general.architecture": uint32(1)}, "general.architecture"},
		{"adapter", map[string]any{"general.type": "adapter"}, `"adapter"`},
		{"empty vocabulary", map[string]any{"tokenizer.ggml.tokens": []string{}, "llama.vocab_size": missing},
			"vocab_size"},
		{"vocabulary of numbers", map[string]any{"tokenizer.ggml.tokens": []int32{1}}, "tokenizer.ggml.tokens"},
	} {
		t.Run(c.name, func(t *testing.T) {
			meta := tiny.Meta("llama")
			for key, v := range c.set {
				set(t, meta, key, v)
			}
			if _, err := models.New(meta); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want it to say %q", err, c.want)
			}
		})
	}
}

// TestUnlikelyMeta checks metadata that is unusual but right.
func TestUnlikelyMeta(t *testing.T) {
	layers := func(s string) (kinds string) {
		meta := tiny.Meta("qwen35")
		switch s {
		case "recurrent_layers":
			set(t, meta, "qwen35.attention.recurrent_layers", []bool{false, true, true, false})
		case "draft layer":
			set(t, meta, "qwen35.block_count", uint32(5))
			set(t, meta, "qwen35.nextn_predict_layers", uint32(1))
		case "zeros for layers without keys":
			set(t, meta, "qwen35.attention.head_count_kv", []uint32{0, 2, 0, 2})
		}
		m := newModel(t, meta)
		slots := map[string]bool{}
		for _, st := range m.State().Slots {
			slots[st.Name] = true
		}
		for i := range m.Params().Layers {
			if slots[fmt.Sprintf("blk.%d.delta", i)] {
				kinds += "d"
			} else {
				kinds += "a"
			}
		}
		return kinds
	}
	for name, want := range map[string]string{"": "dada", "recurrent_layers": "adda", "draft layer": "dada",
		"zeros for layers without keys": "dada"} {
		if got := layers(name); got != want {
			t.Errorf("%s: layers %s, want %s", name, got, want)
		}
	}
}

// FuzzNew changes two keys of a valid model to any numbers: whatever they are, the parser, the lists of weights and
// state and the check against the file must end with an error or a model whose tensors are all there.
func FuzzNew(f *testing.F) {
	sources := map[string]*tiny.Source{}
	for i, arch := range tiny.Archs {
		m, err := models.New(tiny.Meta(arch))
		if err != nil {
			f.Fatal(err)
		}
		sources[arch] = tiny.Weights(m, tensor.F32, 1)
		for key := range tiny.Meta(arch).Len() {
			for _, v := range []int64{0, -1, 1, 3, 1 << 20, math.MaxInt64} {
				f.Add(uint8(i), uint8(key), v, uint8(key+1), int64(2))
			}
		}
	}
	f.Fuzz(func(t *testing.T, arch, key1 uint8, v1 int64, key2 uint8, v2 int64) {
		name := tiny.Archs[int(arch)%len(tiny.Archs)]
		meta := tiny.Meta(name)
		keys := meta.Keys()[1:] // without general.architecture
		set(t, meta, keys[int(key1)%len(keys)], v1)
		set(t, meta, keys[int(key2)%len(keys)], v2)
		m, err := models.New(meta)
		if err != nil {
			return
		}
		if m.State().SlotElems() < 0 {
			t.Errorf("negative size of state")
		}
		if models.Check(m, sources[name]) == nil && len(m.Weights()) == 0 {
			t.Error("no weights")
		}
	})
}
