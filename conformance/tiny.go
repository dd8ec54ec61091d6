package conformance

import (
	"maps"
	"math"
	"math/rand/v2"
	"strings"

	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/internal/tiny"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/tensor"
)

// tinyKeys are hyper-parameters that most architectures share, as tiny.FullKey takes them. An architecture that is not
// in tinyArchs is tried with these alone.
var tinyKeys = map[string]any{
	"vocab_size": uint32(96), "context_length": uint32(128), "embedding_length": uint32(64), "block_count": uint32(2),
	"feed_forward_length": uint32(96), "attention.head_count": uint32(4), "attention.head_count_kv": uint32(2),
	"attention.key_length": uint32(32), "attention.value_length": uint32(32), "rope.dimension_count": uint32(32),
	"rope.freq_base": float32(10000), "attention.layer_norm_rms_epsilon": float32(1e-6),
}

// tinyArchs are the keys in which an architecture differs. To add one, list them here.
//
// Mixtures use all of their experts: with fewer, the rounding of a device would now and then decide which, and what
// follows could not be compared. The choice has cases of its own (route).
var tinyArchs = map[string]map[string]any{
	"apertus": {".xielu.alpha_p": []float32{0.5, -0.5}, ".xielu.alpha_n": []float32{0.3, 0.1},
		".xielu.beta": []float32{0.5, 0.4}, ".xielu.eps": []float32{-1e-6, -1e-6}},
	"bert":      tinyBERT,
	"cohere2":   merge(tinyLayerNorm, tinyWindow, map[string]any{"logit_scale": float32(0.5)}),
	"command-r": merge(tinyLayerNorm, map[string]any{"logit_scale": float32(0.5)}),
	"deepseek2": merge(tinyMoE, tinyLeading, tinyLatent, map[string]any{"attention.q_lora_rank": uint32(48),
		"expert_shared_count": uint32(1), "expert_gating_func": uint32(2), "expert_group_count": uint32(2),
		"expert_group_used_count": uint32(2), "rope.scaling.type": "yarn", "rope.scaling.factor": float32(8),
		"rope.scaling.original_context_length": uint32(16), "rope.scaling.yarn_log_multiplier": float32(0.1)}),
	"dots1":        merge(tinyMoE, tinyLeading, map[string]any{"expert_shared_count": uint32(2)}),
	"ernie4_5-moe": merge(tinyMoE, tinyShared, tinyLeading),
	"exaone4":      tinyWindow,
	"falcon-h1":    tinySSM,
	"gemma2": merge(tinyWindow,
		map[string]any{"attn_logit_softcapping": float32(50), "final_logit_softcapping": float32(30)}),
	"gemma3": tinyWindow,
	"gemma4": merge(tinyWindow, tinyMoE, map[string]any{
		"attention.sliding_window_pattern": []bool{true, false, true, false}, "attention.shared_kv_layers": uint32(2),
		"attention.key_length": uint32(64), "attention.value_length": uint32(64), "rope.dimension_count": uint32(64),
		"attention.key_length_swa": uint32(32), "attention.value_length_swa": uint32(32),
		"rope.dimension_count_swa":         uint32(32),
		"embedding_length_per_layer_input": uint32(32), "final_logit_softcapping": float32(30),
	}),
	"glm4moe": merge(tinyMoE, tinyLeading, map[string]any{"expert_shared_count": uint32(1),
		"rope.dimension_count": uint32(16)}),
	"gemma-embedding": merge(tinyWindow, map[string]any{"dense_2_feat_in": uint32(64), "dense_2_feat_out": uint32(96),
		"dense_3_feat_in": uint32(96), "dense_3_feat_out": uint32(64)}),
	"gptneox":     merge(tinyLayerNorm, map[string]any{"rope.dimension_count": uint32(16)}),
	"modern-bert": merge(tinyLayerNorm, tinyWindow),
	"nomic-bert":  tinyBERT,
	"gpt-oss":     merge(tinyWindow, tinyMoE),
	"gptoss":      merge(tinyWindow, tinyMoE),
	"granite":     tinyFactors,
	"granitemoe":  merge(tinyFactors, tinyMoE),
	"granitehybrid": merge(tinyFactors, tinyMoE, tinyShared, tinySSM, map[string]any{"block_count": uint32(4),
		"attention.head_count_kv": []int32{0, 0, 2, 0}, "rope.scaling.finetuned": false}),
	"kimi-linear": merge(tinyMoE, tinyLeading, tinyLatent, map[string]any{"attention.head_count_kv": []int32{0, 0, 0, 1},
		"block_count": uint32(4), "kda.head_dim": uint32(32), "ssm.conv_kernel": uint32(4),
		"expert_shared_count": uint32(1), "expert_gating_func": uint32(2)}),
	"lfm2":       tinyShortConv,
	"lfm2moe":    merge(tinyShortConv, tinyMoE, tinyLeading),
	"mamba2":     merge(tinySSM, map[string]any{"attention.head_count": uint32(0)}),
	"minimax-m2": merge(tinyMoE, map[string]any{"rope.dimension_count": uint32(16)}),
	"mistral3":   {"attention.temperature_scale": float32(0.1), "rope.scaling.original_context_length": uint32(16)},
	"nemotron_h": merge(tinySSM, map[string]any{"block_count": uint32(4), "ssm.group_count": uint32(2),
		"attention.head_count_kv": []int32{0, 0, 2, 0}, "feed_forward_length": []int32{0, 96, 0, 0}}),
	"nemotron_h_moe": merge(tinySSM, tinyMoE, tinyShared, map[string]any{"block_count": uint32(4),
		"ssm.group_count": uint32(2), "attention.head_count_kv": []int32{0, 0, 2, 0},
		"feed_forward_length": []int32{0, 32, 0, 0}}),
	"olmo-hybrid": merge(tinyDeltaNet, map[string]any{"ssm.inner_size": uint32(192), "ssm.allow_negative": true,
		"rope.dimension_count": uint32(32)}),
	"phimoe": merge(tinyMoE, map[string]any{"expert_count": uint32(2), "expert_used_count": uint32(2),
		// What is near jumps; with two experts and none near, both weigh one. Package nn has cases of the rest.
		"router_jitter_noise": float32(0)}),
	"phi3":       {"attention.sliding_window": uint32(7)},
	"qwen2moe":   merge(tinyMoE, tinyShared),
	"qwen3moe":   tinyMoE,
	"qwen3vlmoe": tinyMoE,
	"qwen3next":  merge(tinyDeltaNet, tinyMoE, tinyShared),
	"qwen35":     tinyDeltaNet,
	"qwen35moe":  merge(tinyDeltaNet, tinyMoE, tinyShared),
	"stablelm":   merge(tinyLayerNorm, map[string]any{"rope.dimension_count": uint32(16)}),
	"starcoder2": merge(tinyLayerNorm, map[string]any{"attention.sliding_window": uint32(7)}),
	"smollm3":    {"block_count": uint32(4)},
}

// tinyWindow are the keys of layers with a sliding window, next to others without.
var tinyWindow = map[string]any{
	"block_count": uint32(4), "attention.sliding_window": uint32(7), "attention.sliding_window_pattern": uint32(2),
}

// tinyFactors are the keys of Granite's factors.
var tinyFactors = map[string]any{
	"embedding_scale": float32(2), "residual_scale": float32(0.5), "logit_scale": float32(2),
	"attention.scale": float32(0.125),
}

// tinyShared are the keys of a shared expert.
var tinyShared = map[string]any{"expert_shared_feed_forward_length": uint32(64)}

// tinyMoE are the keys of a mixture of experts.
var tinyMoE = map[string]any{
	"expert_count": uint32(4), "expert_used_count": uint32(4), "expert_feed_forward_length": uint32(32),
}

// tinySplit are the keys of models that are split over two ranks: experts of two blocks. The networks of dense layers
// are three, so that ranks have shares of different sizes.
var tinySplit = map[string]any{"expert_feed_forward_length": uint32(64)}

// tinyLayerNorm are the keys of layer normalization.
var tinyLayerNorm = map[string]any{"attention.layer_norm_epsilon": float32(1e-5)}

// tinyBERT are the keys of BERT.
var tinyBERT = merge(tinyLayerNorm, map[string]any{".tokenizer.ggml.token_type_count": uint32(2)})

// tinyLeading are the keys of a dense layer in front of sparse ones.
var tinyLeading = map[string]any{"leading_dense_block_count": uint32(1)}

// tinyLatent are the keys of latent attention.
var tinyLatent = map[string]any{
	"attention.head_count_kv": uint32(1), "attention.key_length": uint32(96), "attention.value_length": uint32(64),
	"attention.kv_lora_rank": uint32(64), "attention.key_length_mla": uint32(64),
	"attention.value_length_mla": uint32(32), "rope.dimension_count": uint32(32),
}

// tinyDeltaNet are the keys of a hybrid of gated DeltaNet and attention.
var tinyDeltaNet = map[string]any{
	"block_count": uint32(4), "full_attention_interval": uint32(4), "rope.dimension_count": uint32(16),
	"ssm.group_count": uint32(2), "ssm.time_step_rank": uint32(4), "ssm.state_size": uint32(32),
	"ssm.inner_size":  uint32(128),
	"ssm.conv_kernel": uint32(4),
}

// tinySSM are the keys of a state-space mixer.
var tinySSM = map[string]any{
	"ssm.group_count": uint32(1), "ssm.time_step_rank": uint32(4), "ssm.state_size": uint32(32),
	"ssm.inner_size": uint32(128), "ssm.conv_kernel": uint32(4),
}

// tinyShortConv are the keys of a hybrid of short convolutions and attention.
var tinyShortConv = map[string]any{
	"block_count": uint32(3), "attention.head_count_kv": []int32{0, 2, 0}, "shortconv.l_cache": uint32(3),
}

func merge(parts ...map[string]any) map[string]any {
	m := map[string]any{}
	for _, p := range parts {
		maps.Copy(m, p)
	}
	return m
}

// tinyMeta returns the metadata of tinyModel.
func tinyMeta(arch string, own map[string]any) (*gguf.Meta, error) {
	meta := &gguf.Meta{}
	err := meta.Set("general.architecture", arch)
	for k, v := range merge(tinyKeys, tinyArchs[arch], own) {
		if err == nil {
			err = meta.Set(tiny.FullKey(arch, k), v)
		}
	}
	return meta, err
}

// tinyModel makes the tiny model of an architecture, weights included, from the seed. own are keys that replace those
// that we know.
func tinyModel(arch string, seed uint64, own map[string]any) (models.Model, *tiny.Source, error) {
	meta, err := tinyMeta(arch, own)
	if err != nil {
		return nil, nil, err
	}
	m, err := models.New(meta)
	if err != nil {
		return nil, nil, err
	}
	return m, tiny.Make(m, func(w models.WeightSpec) (tensor.DType, func() float32) {
		dt, r, gen := tensor.F32, newRand(seed, "%s/%s", arch, w.Name), tinyElement(w.Name, w.Shape)
		if len(w.Shape) > 1 {
			h := newRand(0, "%s/%s/type", arch, w.Name)
			dt, _ = tensor.ParseDType(tinyTypes[h.IntN(len(tinyTypes))])
		}
		return dt, func() float32 { return gen(r) }
	}), nil
}

// tinyTypes are the types of matrices, of which each gets one by its name. Rows that are no whole number of blocks
// stay F32.
var tinyTypes = []string{"F32", "F16", "Q8_0", "Q4_0"}

// tinyElement returns a generator of a tensor's elements, of the size that trained weights of that name have: norms
// near one, matrices that keep the size of what they multiply, decays that are negative.
func tinyElement(name string, shape tensor.Shape) func(*rand.Rand) float32 {
	normal := func(mean, dev float64) func(*rand.Rand) float32 {
		return func(r *rand.Rand) float32 { return float32(mean + dev*r.NormFloat64()) }
	}
	uniform := func(lo, hi float64) func(*rand.Rand) float32 {
		return func(r *rand.Rand) float32 { return float32(lo + (hi-lo)*r.Float64()) }
	}
	switch {
	case strings.HasSuffix(name, ".bias"):
		return normal(0, 0.1)
	case strings.Contains(name, "norm"):
		return normal(1, 0.1)
	case strings.HasSuffix(name, "ssm_a"): // -exp(A)
		return uniform(-2, -0.05)
	case strings.HasPrefix(name, "rope_f"): // factors on wavelengths
		return uniform(1, 4)
	case strings.HasSuffix(name, "scale") || strings.HasSuffix(name, "scale.weight"):
		return uniform(0.5, 1.5)
	case strings.HasPrefix(name, "token_embd") || len(shape) < 2:
		return normal(0, 1)
	}
	return normal(0, 1/math.Sqrt(float64(shape.Last())))
}
