package synth

import (
	"fmt"
	"slices"
	"strings"
)

// Key is a metadata key without the prefix of the architecture, and its value as gguf.Meta takes it.
type Key struct {
	Name  string
	Value any
}

// Shape is what tells the files of one model from those of another.
type Shape struct {
	Name  string // as users type it
	Arch  string // general.architecture
	Title string // general.name
	Keys  []Key  // hyper-parameters
	Pre   string // tokenizer.ggml.pre
	Vocab int    // tokens
	Tied  bool   // the embedding serves as output

	// Optional are the endings of names of tensors that the architecture can do without, but the files have.
	Optional []string

	// MTP says that a layer stands behind the others that predicts further tokens: see WithMTP.
	MTP bool

	// RoPEFactors holds the rotary factors of Llama 3.1 in the tensor rope_freqs.weight; nil for none.
	RoPEFactors []float32
}

// shapes are the models that Lookup knows. Numbers are those of the models' own config.json, unless said otherwise.
var shapes = []Shape{
	qwen3("qwen3-0.6b", "Qwen3 0.6B", 1024, 3072, 28, 16, true),
	qwen3("qwen3-4b", "Qwen3 4B", 2560, 9728, 36, 32, true),
	qwen3("qwen3-8b", "Qwen3 8B", 4096, 12288, 36, 32, false),
	{Name: "qwen3-30b-a3b", Arch: "qwen3moe", Title: "Qwen3 30B A3B", Pre: "qwen2", Vocab: 151936, Keys: []Key{
		{"block_count", uint32(48)}, {"context_length", uint32(40960)}, {"embedding_length", uint32(2048)},
		{"feed_forward_length", uint32(6144)}, {"attention.head_count", uint32(32)},
		{"attention.head_count_kv", uint32(4)}, {"rope.freq_base", float32(1e6)},
		{"attention.layer_norm_rms_epsilon", float32(1e-6)}, {"attention.key_length", uint32(128)},
		{"attention.value_length", uint32(128)}, {"expert_count", uint32(128)}, {"expert_used_count", uint32(8)},
		{"expert_feed_forward_length", uint32(768)},
	}},
	{Name: "qwen3.5-4b", Arch: "qwen35", Title: "Qwen3.5 4B", Pre: "qwen35", Vocab: 248320, Tied: true,
		Keys: append(qwen35(2560, 32, 16, 4, 32), Key{"feed_forward_length", uint32(9216)})},
	{Name: "qwen3.6-27b", Arch: "qwen35", Title: "Qwen3.6 27B", Pre: "qwen35", Vocab: 248320,
		Keys: append(qwen35(5120, 64, 24, 4, 48), Key{"feed_forward_length", uint32(17408)})},
	{Name: "qwen3.6-35b-a3b", Arch: "qwen35moe", Title: "Qwen3.6 35B A3B", Pre: "qwen35", Vocab: 248320,
		Keys: append(qwen35(2048, 40, 16, 2, 32), Key{"expert_count", uint32(256)},
			Key{"expert_used_count", uint32(8)},
			Key{"expert_feed_forward_length", uint32(512)}, Key{"expert_shared_feed_forward_length", uint32(512)})},
	llama("llama-3.1-8b", "Llama 3.1 8B", 4096, 14336, 32, 32),
	llama("llama-3.1-70b", "Llama 3.1 70B", 8192, 28672, 80, 64),
	llama("llama-3.1-405b", "Llama 3.1 405B", 16384, 53248, 126, 128),
	// The sizes of DeepSeek-V2-Lite with the router of V3.
	{Name: "deepseek-v3-lite", Arch: "deepseek2", Title: "DeepSeek V3 Lite", Pre: "deepseek-v3", Vocab: 102400,
		Keys: []Key{
			{"block_count", uint32(27)}, {"context_length", uint32(163840)}, {"embedding_length", uint32(2048)},
			{"feed_forward_length", uint32(10944)}, {"attention.head_count", uint32(16)},
			{"attention.head_count_kv", uint32(1)}, {"rope.freq_base", float32(10000)},
			{"attention.layer_norm_rms_epsilon", float32(1e-6)}, {"expert_used_count", uint32(6)},
			{"leading_dense_block_count", uint32(1)}, {"vocab_size", uint32(102400)},
			{"attention.kv_lora_rank", uint32(512)}, {"attention.key_length", uint32(576)},
			{"attention.value_length", uint32(512)}, {"attention.key_length_mla", uint32(192)},
			{"attention.value_length_mla", uint32(128)}, {"expert_feed_forward_length", uint32(1408)},
			{"expert_count", uint32(64)}, {"expert_shared_count", uint32(2)}, {"expert_weights_scale", float32(2.5)},
			{"expert_weights_norm", true}, {"expert_gating_func", uint32(2)}, {"rope.dimension_count", uint32(64)},
			{"rope.scaling.type", "yarn"}, {"rope.scaling.factor", float32(40)},
			{"rope.scaling.original_context_length", uint32(4096)},
			{"rope.scaling.yarn_log_multiplier", float32(0.0707)},
		}},
	{Name: "granite-4-h-small", Arch: "granitehybrid", Title: "Granite 4.0 H Small", Pre: "dbrx", Vocab: 100352,
		Tied: true, Optional: []string{".ssm_conv1d.bias"}, Keys: []Key{
			{"block_count", uint32(40)}, {"context_length", uint32(131072)}, {"embedding_length", uint32(4096)},
			{"feed_forward_length", uint32(768)}, {"attention.head_count", uint32(32)},
			{"attention.head_count_kv", headsAt(40, 5, 15, 25, 35)}, {"rope.freq_base", float32(10000)},
			{"rope.scaling.finetuned", false}, {"attention.layer_norm_rms_epsilon", float32(1e-5)},
			{"attention.scale", float32(0.0078125)}, {"embedding_scale", float32(12)},
			{"residual_scale", float32(0.22)}, {"logit_scale", float32(16)},
			{"expert_count", uint32(72)}, {"expert_used_count", uint32(10)},
			{"expert_shared_feed_forward_length", uint32(1536)}, {"vocab_size", uint32(100352)},
			{"rope.dimension_count", uint32(128)}, {"ssm.conv_kernel", uint32(4)}, {"ssm.state_size", uint32(128)},
			{"ssm.group_count", uint32(1)}, {"ssm.time_step_rank", uint32(128)}, {"ssm.inner_size", uint32(8192)},
		}},
	{Name: "lfm2-8b-a1b", Arch: "lfm2moe", Title: "LFM2 8B A1B", Pre: "lfm2", Vocab: 65536, Tied: true,
		Optional: []string{".exp_probs_b.bias"}, Keys: []Key{
			{"block_count", uint32(24)}, {"context_length", uint32(128000)}, {"embedding_length", uint32(2048)},
			{"feed_forward_length", uint32(7168)}, {"attention.head_count", uint32(32)},
			{"attention.head_count_kv", headsAt(24, 2, 6, 10, 14, 18, 21)}, {"rope.freq_base", float32(1e6)},
			{"attention.layer_norm_rms_epsilon", float32(1e-5)}, {"vocab_size", uint32(65536)},
			{"expert_count", uint32(32)}, {"expert_used_count", uint32(4)},
			{"expert_feed_forward_length", uint32(1792)}, {"leading_dense_block_count", uint32(2)},
			{"expert_gating_func", uint32(2)}, {"shortconv.l_cache", uint32(3)},
		}},
	gptOSS("gpt-oss-20b", "gpt-oss 20B", 24, 32),
	gptOSS("gpt-oss-120b", "gpt-oss 120B", 36, 128),
}

// gptOSS is a shape of gpt-oss, whose two sizes differ in layers and experts alone. Published files have the experts in
// MXFP4, which MXFP4_MOE asks for.
func gptOSS(name, title string, layers, experts int) Shape {
	return Shape{Name: name, Arch: "gpt-oss", Title: title, Pre: "gpt-4o", Vocab: 201088,
		Optional: []string{".attn_output.bias", ".ffn_gate_inp.bias", "_exps.bias"}, Keys: []Key{
			{"block_count", uint32(layers)}, {"context_length", uint32(131072)}, {"embedding_length", uint32(2880)},
			{"feed_forward_length", uint32(2880)}, {"attention.head_count", uint32(64)},
			{"attention.head_count_kv", uint32(8)}, {"rope.freq_base", float32(150000)},
			{"attention.layer_norm_rms_epsilon", float32(1e-5)}, {"expert_count", uint32(experts)},
			{"expert_used_count", uint32(4)}, {"attention.key_length", uint32(64)},
			{"attention.value_length", uint32(64)}, {"attention.sliding_window", uint32(128)},
			{"expert_feed_forward_length", uint32(2880)}, {"rope.scaling.type", "yarn"},
			{"rope.scaling.factor", float32(32)}, {"rope.scaling.original_context_length", uint32(4096)},
		}}
}

// headsAt returns the number of key heads of each layer, 8 for those with attention and 0 for others.
func headsAt(layers int, attention ...int) []int32 {
	heads := make([]int32, layers)
	for _, i := range attention {
		heads[i] = 8
	}
	return heads
}

// aliases are shorter names of shapes.
var aliases = map[string]string{
	"4b": "qwen3-4b", "8b": "qwen3-8b", "27b": "qwen3.6-27b", "35b-a3b": "qwen3.6-35b-a3b",
	"70b": "llama-3.1-70b", "llama-3.3-70b": "llama-3.1-70b", "405b": "llama-3.1-405b",
}

// Names returns the names of all shapes.
func Names() []string {
	var names []string
	for _, s := range shapes {
		names = append(names, s.Name)
	}
	return names
}

// Lookup returns the shape called name, in any case. The error lists all names.
func Lookup(name string) (Shape, error) {
	want := strings.ToLower(name)
	if a, ok := aliases[want]; ok {
		want = a
	}
	for _, s := range shapes {
		if s.Name == want {
			return s, nil
		}
	}
	return Shape{}, fmt.Errorf("synth: unknown shape %q (known: %s)", name, strings.Join(Names(), ", "))
}

// WithLayers returns the shape of a file that has only the first n layers, for machines that the whole does not fit.
func (s Shape) WithLayers(n int) (Shape, error) {
	i := slices.IndexFunc(s.Keys, func(k Key) bool { return k.Name == "block_count" })
	all, ok := s.Keys[i].Value.(uint32)
	if !ok || n < 1 || n > int(all) {
		return s, fmt.Errorf("synth: %d layers of shape %q, it has 1..%d", n, s.Name, all)
	}
	s.Keys = slices.Clone(s.Keys)
	for i, k := range s.Keys {
		if each, ok := k.Value.([]int32); ok && len(each) == int(all) { // of each layer
			s.Keys[i].Value = each[:n]
		}
	}
	s.Keys[i].Value = uint32(n)
	return s, nil
}

// WithMTP returns the shape of a file that has the layer that the model was published with and that predicts further
// tokens, which converters may leave out.
func (s Shape) WithMTP() (Shape, error) {
	if s.Arch != "qwen35" && s.Arch != "qwen35moe" {
		return s, fmt.Errorf("synth: shape %q has no layer that predicts further tokens (MTP)", s.Name)
	}
	s.MTP, s.Keys = true, slices.Clone(s.Keys)
	for i, k := range s.Keys {
		if n, ok := k.Value.(uint32); ok && k.Name == "block_count" {
			s.Keys[i].Value = n + 1
		}
	}
	s.Keys = append(s.Keys, Key{"nextn_predict_layers", uint32(1)})
	s.Optional = append(slices.Clip(s.Optional), ".nextn.shared_head_norm.weight")
	return s, nil
}

func qwen3(name, title string, embd, ff, layers, heads int, tied bool) Shape {
	return Shape{Name: name, Arch: "qwen3", Title: title, Pre: "qwen2", Vocab: 151936, Tied: tied, Keys: []Key{
		{"block_count", uint32(layers)}, {"context_length", uint32(40960)}, {"embedding_length", uint32(embd)},
		{"feed_forward_length", uint32(ff)}, {"attention.head_count", uint32(heads)},
		{"attention.head_count_kv", uint32(8)},
		{"rope.freq_base", float32(1e6)}, {"attention.layer_norm_rms_epsilon", float32(1e-6)},
		{"attention.key_length", uint32(128)}, {"attention.value_length", uint32(128)},
	}}
}

// qwen35 returns the keys that the dense model and the mixture of experts share.
func qwen35(embd, layers, heads, kvHeads, valueHeads int) []Key {
	return []Key{
		{"block_count", uint32(layers)}, {"context_length", uint32(262144)}, {"embedding_length", uint32(embd)},
		{"attention.head_count", uint32(heads)}, {"attention.head_count_kv", uint32(kvHeads)},
		{"rope.freq_base", float32(1e7)}, {"rope.dimension_count", uint32(64)},
		{"rope.dimension_sections", []int32{11, 11, 10, 0}},
		{"attention.layer_norm_rms_epsilon", float32(1e-6)}, {"attention.key_length", uint32(256)},
		{"attention.value_length", uint32(256)},
		{"full_attention_interval", uint32(4)}, {"ssm.conv_kernel", uint32(4)}, {"ssm.state_size", uint32(128)},
		{"ssm.group_count", uint32(16)}, {"ssm.time_step_rank", uint32(valueHeads)},
		{"ssm.inner_size", uint32(128 * valueHeads)},
	}
}

func llama(name, title string, embd, ff, layers, heads int) Shape {
	return Shape{Name: name, Arch: "llama", Title: title, Pre: "llama-bpe", Vocab: 128256,
		RoPEFactors: llama3Factors(), Keys: []Key{
			{"block_count", uint32(layers)}, {"context_length", uint32(131072)}, {"embedding_length", uint32(embd)},
			{"feed_forward_length", uint32(ff)}, {"attention.head_count", uint32(heads)},
			{"attention.head_count_kv", uint32(8)},
			{"rope.freq_base", float32(5e5)}, {"rope.dimension_count", uint32(128)},
			{"attention.layer_norm_rms_epsilon", float32(1e-5)},
			{"attention.key_length", uint32(128)}, {"attention.value_length", uint32(128)},
			{"vocab_size", uint32(128256)},
		}}
}
