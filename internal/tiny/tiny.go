package tiny

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/tensor"
)

// Vocab is the number of tokens that the models know.
const Vocab = 96

// keys are metadata without the architecture's prefix; those that have none begin with a dot. A nil value takes a key
// away.
type keys map[string]any

// with returns k with more keys.
func (k keys) with(more ...keys) keys {
	out := maps.Clone(k)
	for _, m := range more {
		maps.Copy(out, m)
	}
	return out
}

// common are the keys of every model, the others those of some kinds.
var (
	common = keys{
		"vocab_size": uint32(Vocab), "block_count": uint32(2), "embedding_length": uint32(64),
		"context_length":      uint32(256),
		"feed_forward_length": uint32(96), "attention.head_count": uint32(4), "attention.head_count_kv": uint32(2),
		"attention.layer_norm_rms_epsilon": float32(1e-6), "rope.freq_base": float32(10000),
	}
	none    = keys{}
	wide    = keys{"attention.key_length": uint32(32)} // not embedding_length / head_count
	experts = keys{"expert_count": uint32(5), "expert_used_count": uint32(2)}
	moe     = experts.with(keys{"expert_feed_forward_length": uint32(32), "feed_forward_length": nil})
	shared  = keys{"expert_shared_feed_forward_length": uint32(64)}
	delta   = keys{
		"block_count": uint32(4), "full_attention_interval": uint32(2), "rope.dimension_count": uint32(8),
		"ssm.group_count": uint32(2), "ssm.time_step_rank": uint32(6),
		"ssm.state_size": uint32(16), "ssm.inner_size": uint32(96), "ssm.conv_kernel": uint32(4),
	}
	ssm = keys{
		"ssm.group_count": uint32(2), "ssm.time_step_rank": uint32(8), "ssm.state_size": uint32(16),
		"ssm.inner_size": uint32(128), "ssm.conv_kernel": uint32(4),
	}
	shortConv = keys{"block_count": uint32(4), "attention.head_count_kv": []int32{0, 2, 0, 2},
		"shortconv.l_cache": uint32(3)}
	granite = keys{
		"embedding_scale": float32(12), "residual_scale": float32(0.22), "logit_scale": float32(8),
		"attention.scale": float32(0.1),
	}
	window = keys{"block_count": uint32(4), "attention.sliding_window": uint32(5)}
	yarn   = keys{
		"rope.scaling.type": "yarn", "rope.scaling.factor": float32(16),
		"rope.scaling.original_context_length": uint32(16),
	}
	latent = keys{
		"attention.head_count_kv": uint32(1), "attention.kv_lora_rank": uint32(32), "attention.key_length_mla": uint32(24),
		"attention.value_length_mla": uint32(16), "rope.dimension_count": uint32(8),
	}
	layerNorm = keys{"attention.layer_norm_epsilon": float32(1e-5), "attention.layer_norm_rms_epsilon": nil}
	gemma4    = wide.with(keys{
		"block_count": uint32(6), "attention.sliding_window": uint32(5), "attention.key_length_swa": uint32(16),
		"attention.sliding_window_pattern": []bool{true, false, true, true, true, false},
		"attention.head_count_kv":          []int32{2, 1, 2, 2, 2, 2},
		"feed_forward_length":              []int32{96, 96, 64, 64, 96, 96},
		"rope.freq_base_swa":               float32(10000), "final_logit_softcapping": float32(30),
	})
)

// archs lists what is special to each architecture.
var archs = []struct {
	name string
	keys keys
}{
	{"llama", none},
	{"llama/moe", experts},
	{"llama/window", window.with(keys{"attention.sliding_window_pattern": []bool{true, false, true, false}})},
	{"mistral3", wide.with(yarn,
		keys{"rope.scaling.yarn_log_multiplier": float32(1), "attention.temperature_scale": float32(0.1)})},
	{"qwen2", none},
	{"qwen2moe", moe.with(shared)},
	{"qwen3", wide},
	{"qwen3moe", wide.with(moe)},
	{"qwen2vl", none},
	{"qwen3vl", wide},
	{"qwen3vlmoe", wide.with(moe)},
	{"qwen3next", wide.with(moe, shared, delta)},
	{"qwen35", wide.with(delta)},
	{"qwen35moe", wide.with(moe, shared, delta)},
	{"gemma2", wide.with(window, keys{"attn_logit_softcapping": float32(50), "final_logit_softcapping": float32(30)})},
	{"gemma3", wide.with(window,
		keys{"attention.sliding_window_pattern": uint32(3), "rope.freq_base_swa": float32(1000)})},
	{"gemma4", gemma4.with(keys{"attention.shared_kv_layers": uint32(2),
		"embedding_length_per_layer_input": uint32(8)})},
	{"gemma4/moe", gemma4.with(experts, keys{"expert_feed_forward_length": uint32(32)})},
	{"gpt-oss", wide.with(moe, window, yarn)},
	{"gptoss", wide.with(moe, window, yarn, keys{"rope.scaling.type": nil})},
	{"phi3", keys{"attention.sliding_window": uint32(7)}},
	{"granite", granite},
	{"granitemoe", granite.with(experts, shared)},
	{"granitehybrid", granite.with(experts, shared, ssm, keys{"block_count": uint32(4),
		"attention.head_count_kv": []int32{0, 0, 2, 0}, "rope.scaling.finetuned": false})},
	{"granitehybrid/dense", ssm.with(keys{"attention.head_count_kv": []int32{0, 2}, "rope.dimension_count": uint32(8),
		"rope.scaling.finetuned": true})},
	{"mamba2", ssm.with(keys{"attention.head_count": uint32(0), "attention.head_count_kv": nil,
		"feed_forward_length": uint32(0), "rope.freq_base": nil})},
	{"falcon-h1", wide.with(ssm, keys{"ssm.group_count": uint32(1)})},
	{"nemotron_h", wide.with(ssm, keys{"block_count": uint32(4), "attention.head_count_kv": []int32{0, 0, 2, 0},
		"feed_forward_length": []int32{0, 96, 0, 0}})},
	{"nemotron_h_moe", wide.with(ssm, experts, shared, keys{"block_count": uint32(4),
		"attention.head_count_kv": []int32{0, 0, 2, 0}, "feed_forward_length": []int32{0, 32, 0, 0},
		"expert_feed_forward_length": uint32(32), "expert_weights_norm": true, "expert_weights_scale": float32(2.5)})},
	{"lfm2", shortConv},
	{"lfm2moe", shortConv.with(experts, keys{"expert_feed_forward_length": uint32(32),
		"leading_dense_block_count": uint32(2)})},
	{"olmo2", wide},
	{"olmo2/window", wide.with(window, yarn)},
	{"olmo-hybrid", delta.with(keys{"ssm.inner_size": uint32(144), "ssm.allow_negative": true,
		"rope.dimension_count": uint32(16)})},
	{"smollm3", keys{"block_count": uint32(4)}},
	{"ernie4_5", wide},
	{"ernie4_5-moe", experts.with(keys{"expert_feed_forward_length": uint32(32), "block_count": uint32(3),
		"leading_dense_block_count": uint32(1), "expert_shared_feed_forward_length": uint32(64)})},
	{"seed_oss", wide},
	{"gptneox", layerNorm.with(keys{"rope.dimension_count": uint32(8)})},
	{"bert", layerNorm.with(keys{".tokenizer.ggml.token_type_count": uint32(2)})},
	{"nomic-bert", layerNorm.with(keys{".tokenizer.ggml.token_type_count": uint32(2)})},
	{"modern-bert", layerNorm.with(window)},
	{"gemma-embedding", wide.with(window, keys{"dense_2_feat_in": uint32(64), "dense_2_feat_out": uint32(32),
		"dense_3_feat_in": uint32(32), "dense_3_feat_out": uint32(64)})},
	{"command-r", layerNorm.with(keys{"logit_scale": float32(0.25)})},
	{"cohere2", layerNorm.with(window, keys{"logit_scale": float32(0.25)})},
	{"starcoder2", layerNorm.with(keys{"attention.sliding_window": uint32(7)})},
	{"stablelm", layerNorm.with(keys{"rope.dimension_count": uint32(8)})},
	{"arcee", wide},
	{"apertus", wide.with(keys{
		".xielu.alpha_p": []float32{0.5, -0.5}, ".xielu.alpha_n": []float32{0.3, 0.1}, ".xielu.beta": []float32{0.5, 0.4},
		".xielu.eps": []float32{-1e-6, -1e-6}})},
	{"glm4moe", wide.with(experts, keys{"expert_feed_forward_length": uint32(32), "rope.dimension_count": uint32(16),
		"block_count": uint32(3), "leading_dense_block_count": uint32(1), "expert_shared_count": uint32(1),
		"expert_weights_norm": true, "expert_weights_scale": float32(1.5)})},
	{"dots1", experts.with(keys{"expert_feed_forward_length": uint32(32), "block_count": uint32(3),
		"leading_dense_block_count": uint32(1), "expert_shared_count": uint32(2), "expert_weights_norm": true,
		"expert_weights_scale": float32(2.5)})},
	{"phimoe", experts.with(keys{"rope.scaling.original_context_length": uint32(16),
		"rope.scaling.attn_factor": float32(1.2), "router_jitter_noise": float32(0.2)})},
	{"deepseek2", latent.with(yarn, keys{"attention.q_lora_rank": uint32(24), "expert_count": uint32(6),
		"expert_used_count": uint32(2), "expert_feed_forward_length": uint32(32), "block_count": uint32(3),
		"leading_dense_block_count": uint32(1), "expert_shared_count": uint32(1), "expert_gating_func": uint32(2),
		"expert_group_count": uint32(3), "expert_group_used_count": uint32(2), "expert_weights_norm": true,
		"expert_weights_scale": float32(2.5), "rope.scaling.yarn_log_multiplier": float32(0.1)})},
	{"deepseek2/dense", latent},
	{"exaone4", none},
	{"exaone4/window", window},
	{"hunyuan-dense", wide},
	{"kimi-linear", latent.with(moe, keys{"attention.head_count_kv": []int32{0, 0, 1}, "block_count": uint32(3),
		"kda.head_dim": uint32(16), "ssm.conv_kernel": uint32(4), "expert_shared_count": uint32(1)})},
	{"minimax-m2", wide.with(moe, keys{"rope.dimension_count": uint32(16)})},
	{"glm4", wide.with(keys{"rope.dimension_count": uint32(16)})},
}

// Archs lists the architectures that Meta knows, with variants of one architecture as "llama/moe".
var Archs = func() (names []string) {
	for _, m := range archs {
		names = append(names, m.name)
	}
	return names
}()

// Meta returns the metadata of a small model.
func Meta(arch string) *gguf.Meta {
	name, _, _ := strings.Cut(arch, "/")
	i := slices.Index(Archs, arch)
	if i < 0 {
		panic("tiny: no model called " + arch)
	}
	all := common.with(archs[i].keys)
	m := &gguf.Meta{}
	set(m, "general.architecture", name)
	for _, k := range slices.Sorted(maps.Keys(all)) {
		if all[k] != nil {
			set(m, FullKey(name, k), all[k])
		}
	}
	return m
}

// Drafting returns Meta of an architecture with a layer more, which predicts further tokens.
func Drafting(arch string) *gguf.Meta {
	m := Meta(arch)
	blocks, err := m.Int(arch + ".block_count")
	if err != nil {
		panic(err)
	}
	set(m, arch+".block_count", uint32(blocks+1))
	set(m, arch+".nextn_predict_layers", uint32(1))
	return m
}

// FullKey puts the prefix of an architecture in front of a key, or takes the dot away from one that has no prefix.
func FullKey(arch, key string) string {
	if bare, ok := strings.CutPrefix(key, "."); ok {
		return bare
	}
	return arch + "." + key
}

func set(m *gguf.Meta, key string, v any) {
	if err := m.Set(key, v); err != nil {
		panic(err) // the keys and types above are all valid
	}
}

// Source is a models.Source in memory.
type Source struct {
	Infos map[string]gguf.TensorInfo
	Data  map[string][]byte
}

// Weights returns random weights for m: every tensor of the file that it can use, matrices in type dt where their
// rows are whole blocks of it, the rest in F32. The same seed gives the same weights.
func Weights(m models.Model, dt tensor.DType, seed uint64) *Source {
	rng := rand.New(rand.NewPCG(seed, 1))
	return Make(m, func(spec models.WeightSpec) (tensor.DType, func() float32) {
		width := math.Sqrt(float64(spec.Shape.Last()))
		draw := func(n float64) float32 { return float32(2 * n / width) }
		switch {
		case strings.HasSuffix(spec.Name, "norm.weight"), strings.Contains(spec.Name, "rope_f"):
			draw = func(float64) float32 { return float32(1 + 0.3*rng.Float64()) }
		case strings.HasSuffix(spec.Name, "ssm_a"):
			draw = func(n float64) float32 { return float32(-math.Exp(n)) }
		case spec.Vector:
			draw = func(n float64) float32 { return float32(0.3 * n) }
		}
		return dt, func() float32 { return draw(rng.NormFloat64()) }
	})
}

// Make returns weights for m: every tensor of the file that it can use, in the order of its specs, and those that it
// derives others from. draw says of a tensor which type it has, and draws its elements in order. Vectors, inputs of
// what is derived and rows that are no whole number of blocks are F32 whatever it says.
func Make(m models.Model, draw func(models.WeightSpec) (tensor.DType, func() float32)) *Source {
	s := &Source{map[string]gguf.TensorInfo{}, map[string][]byte{}}
	add := func(spec models.WeightSpec, derived bool) {
		dt, next := draw(spec)
		f, ok := dt.Format()
		if derived || spec.Vector || !ok || spec.Shape.Last()%f.Block != 0 {
			dt = tensor.F32
		}
		x := make([]float32, spec.Shape.Elems())
		for i := range x {
			x[i] = next()
		}
		s.Put(spec.Name, dt, spec.Shape, x)
	}
	for _, spec := range m.Weights() {
		if spec.Derive == nil {
			add(spec, false)
		}
		for _, in := range spec.Inputs {
			add(in, true)
		}
	}
	return s
}

// Put stores a tensor with the given elements.
func (s *Source) Put(name string, dt tensor.DType, shape tensor.Shape, x []float32) {
	f, ok := dt.Format()
	if !ok || f.Quant == nil {
		panic(fmt.Sprintf("tiny: no quantizer for %v", dt))
	}
	b := make([]byte, len(x)/f.Block*f.Bytes)
	f.Quant(b, x)
	s.PutBytes(name, dt, shape, b)
}

// PutBytes stores a tensor with the given contents.
func (s *Source) PutBytes(name string, dt tensor.DType, shape tensor.Shape, b []byte) {
	s.Infos[name] = gguf.TensorInfo{Name: name, DType: dt, Shape: shape, Size: int64(len(b))}
	s.Data[name] = b
}

// Remove deletes a tensor and returns what it was.
func (s *Source) Remove(name string) (gguf.TensorInfo, []byte) {
	info, b := s.Infos[name], s.Data[name]
	delete(s.Infos, name)
	delete(s.Data, name)
	return info, b
}

// Tensor describes a tensor.
func (s *Source) Tensor(name string) (gguf.TensorInfo, bool) {
	info, ok := s.Infos[name]
	return info, ok
}

// ReadTensor copies len(p) bytes from off.
func (s *Source) ReadTensor(t gguf.TensorInfo, p []byte, off int64) error {
	if n := copy(p, s.Data[t.Name][off:]); n < len(p) {
		return fmt.Errorf("tiny: tensor %q: %d bytes at %d, want %d", t.Name, n, off, len(p))
	}
	return nil
}
