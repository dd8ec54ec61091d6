package hf

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/internal/strictjson"
	"github.com/hipengine/hipengine/tensor"
)

// wantTensor is what a folder must present: the shape, and where in which stored tensor element i comes from.
type wantTensor struct {
	shape []int
	from  func(i int) (name string, at int)
	value func(float32) float32 // nil: as it is
}

// familyCase is a model of one family with tensors of sample values.
type familyCase struct {
	name, config string
	stored       map[string][]int
	want         map[string]wantTensor
	keys         map[string]any
	notes        []string
}

// same takes a tensor as it is.
func same(name string, shape ...int) wantTensor {
	return wantTensor{shape: shape, from: func(i int) (string, int) { return name, i }}
}

// plus1 takes a zero-centred norm.
func plus1(name string, n int) wantTensor {
	w := same(name, n)
	w.value = func(x float32) float32 { return x + 1 }
	return w
}

// mapped takes element at(i) of a tensor.
func mapped(name string, at func(i int) int, shape ...int) wantTensor {
	return wantTensor{shape: shape, from: func(i int) (string, int) { return name, at(i) }}
}

// merge joins maps.
func merge[V any](ms ...map[string]V) map[string]V {
	out := map[string]V{}
	for _, m := range ms {
		for k, v := range m {
			out[k] = v
		}
	}
	return out
}

// halfSplit says where element i of a query or key projection with heads of dim rows of cols columns comes from, for
// interleaved pairs.
func halfSplit(dim, cols int) func(int) int {
	return func(i int) int {
		row, col := i/cols, i%cols
		head, j := row/dim, row%dim
		if j%2 == 0 {
			j = j / 2
		} else {
			j = dim/2 + j/2
		}
		return (head*dim+j)*cols + col
	}
}

const vocab = 512

// globals are the tensors of no layer, with hidden size 16.
var (
	globals = map[string][]int{"model.embed_tokens.weight": {vocab, 16}, "model.norm.weight": {16},
		"lm_head.weight": {vocab, 16}}
	wantGlobals = map[string]wantTensor{
		"token_embd.weight":  same("model.embed_tokens.weight", vocab, 16),
		"output_norm.weight": same("model.norm.weight", 16),
		"output.weight":      same("lm_head.weight", vocab, 16),
	}
)

// Four query heads and two KV heads of 4 elements.
func attentionTensors(l string) map[string][]int {
	return map[string][]int{
		l + "self_attn.q_proj.weight": {16, 16}, l + "self_attn.k_proj.weight": {8, 16},
		l + "self_attn.v_proj.weight": {8, 16}, l + "self_attn.o_proj.weight": {16, 16},
	}
}

func wantAttention(l string) map[string]wantTensor {
	return map[string]wantTensor{
		"blk.0.attn_q.weight":      same(l+"self_attn.q_proj.weight", 16, 16),
		"blk.0.attn_k.weight":      same(l+"self_attn.k_proj.weight", 8, 16),
		"blk.0.attn_v.weight":      same(l+"self_attn.v_proj.weight", 8, 16),
		"blk.0.attn_output.weight": same(l+"self_attn.o_proj.weight", 16, 16),
	}
}

const (
	layer0 = "model.layers.0."
	sizes  = `"hidden_size":16,"num_hidden_layers":1,"num_attention_heads":4,"num_key_value_heads":2,"max_position_embeddings":64,"rms_norm_eps":1e-5`
)

func familyCases() []familyCase {
	permutedAttention := merge(wantAttention(layer0), map[string]wantTensor{
		"blk.0.attn_q.weight": mapped(layer0+"self_attn.q_proj.weight", halfSplit(4, 16), 16, 16),
		"blk.0.attn_k.weight": mapped(layer0+"self_attn.k_proj.weight", halfSplit(4, 16), 8, 16),
	})
	preNorms := map[string][]int{layer0 + "input_layernorm.weight": {16},
		layer0 + "post_attention_layernorm.weight": {16}}
	wantPreNorms := map[string]wantTensor{
		"blk.0.attn_norm.weight": same(layer0+"input_layernorm.weight", 16),
		"blk.0.ffn_norm.weight":  same(layer0+"post_attention_layernorm.weight", 16),
	}
	mlp := map[string][]int{layer0 + "mlp.gate_proj.weight": {24, 16}, layer0 + "mlp.up_proj.weight": {24, 16},
		layer0 + "mlp.down_proj.weight": {16, 24}}
	wantMLP := map[string]wantTensor{
		"blk.0.ffn_gate.weight": same(layer0+"mlp.gate_proj.weight", 24, 16),
		"blk.0.ffn_up.weight":   same(layer0+"mlp.up_proj.weight", 24, 16),
		"blk.0.ffn_down.weight": same(layer0+"mlp.down_proj.weight", 16, 24),
	}
	return []familyCase{
		{
			name: "llama with biases and older spelling of scaling",
			config: `{"architectures":["LlamaForCausalLM"],` + sizes +
				`,"intermediate_size":24,"torch_dtype":"bfloat16","rope_theta":500000.0,"rope_scaling":{"rope_type":"llama3","factor":8.0,"low_freq_factor":1.0,"high_freq_factor":4.0,"original_max_position_embeddings":32}}`,
			stored: merge(globals, attentionTensors(layer0), preNorms, mlp,
				map[string][]int{layer0 + "self_attn.q_proj.bias": {16},
					layer0 + "self_attn.rotary_emb.inv_freq": {2}}),
			want: merge(wantGlobals, permutedAttention, wantPreNorms, wantMLP, map[string]wantTensor{
				"blk.0.attn_q.bias": mapped(layer0+"self_attn.q_proj.bias", halfSplit(4, 1), 16),
				"rope_freqs.weight": {shape: []int{2}},
			}),
			keys: map[string]any{"general.architecture": "llama", "llama.block_count": uint32(1),
				"llama.rope.freq_base": float32(500000), "llama.rope.dimension_count": uint32(4),
				"llama.attention.head_count_kv": uint32(2), "llama.feed_forward_length": uint32(24),
				"llama.vocab_size": uint32(512), "llama.attention.layer_norm_rms_epsilon": float32(1e-5)},
		},
		{
			name: "mistral, tied, with vision tower",
			config: `{"architectures":["MistralForCausalLM"],` + sizes +
				`,"intermediate_size":24,"tie_word_embeddings":true,"sliding_window":32,"rope_parameters":{"rope_type":"default","rope_theta":10000.0}}`,
			stored: merge(globals, attentionTensors(layer0), preNorms, mlp,
				map[string][]int{"vision_tower.x.weight": {3}, "vision_tower.y.weight": {3}}),
			want: func() map[string]wantTensor {
				m := merge(wantGlobals, permutedAttention, wantPreNorms, wantMLP)
				delete(m, "output.weight")
				return m
			}(),
			notes: []string{"skipped 2 tensors vision_tower.*", "sliding window of 32"},
		},
		{
			name: "mixtral",
			config: `{"architectures":["MixtralForCausalLM"],` + sizes +
				`,"intermediate_size":24,"num_local_experts":2,"num_experts_per_tok":1}`,
			stored: merge(globals, attentionTensors(layer0), preNorms,
				map[string][]int{layer0 + "block_sparse_moe.gate.weight": {2, 16}},
				expertTensors(layer0+"block_sparse_moe.experts.", 2, "w1", "w3", "w2")),
			want: merge(wantGlobals, permutedAttention, wantPreNorms,
				map[string]wantTensor{"blk.0.ffn_gate_inp.weight": same(layer0+"block_sparse_moe.gate.weight", 2, 16)},
				wantExperts(layer0+"block_sparse_moe.experts.", 2, "w1", "w3", "w2")),
			keys: map[string]any{"llama.expert_count": uint32(2), "llama.expert_used_count": uint32(1)},
		},
		{
			name: "granite",
			config: `{"architectures":["GraniteForCausalLM"],` + sizes +
				`,"intermediate_size":24,"attention_multiplier":0.5,"embedding_multiplier":12,"residual_multiplier":0.25,"logits_scaling":8}`,
			stored: merge(globals, attentionTensors(layer0), preNorms, mlp),
			want:   merge(wantGlobals, permutedAttention, wantPreNorms, wantMLP),
			keys: map[string]any{"granite.attention.scale": float32(0.5), "granite.embedding_scale": float32(12),
				"granite.residual_scale": float32(0.25),
				"granite.logit_scale":    float32(8)},
		},
		{
			name: "qwen2moe with a dense layer",
			config: `{"architectures":["Qwen2MoeForCausalLM"],` +
				strings.Replace(sizes, `"num_hidden_layers":1`, `"num_hidden_layers":1,"mlp_only_layers":[0]`, 1) +
				`,"intermediate_size":24,"num_experts":2,"num_experts_per_tok":2,"moe_intermediate_size":24,"shared_expert_intermediate_size":8,"norm_topk_prob":false}`,
			stored: merge(globals, attentionTensors(layer0), preNorms, mlp),
			want:   merge(wantGlobals, wantAttention(layer0), wantPreNorms, wantMLP),
			keys: map[string]any{"qwen2moe.expert_feed_forward_length": uint32(24),
				"qwen2moe.expert_shared_feed_forward_length": uint32(8)},
		},
		{
			name:   "olmo2",
			config: `{"architectures":["Olmo2ForCausalLM"],` + sizes + `,"intermediate_size":24}`,
			stored: merge(globals, attentionTensors(layer0), mlp,
				map[string][]int{layer0 + "post_attention_layernorm.weight": {16},
					layer0 + "post_feedforward_layernorm.weight": {16},
					layer0 + "self_attn.q_norm.weight":           {16}, layer0 + "self_attn.k_norm.weight": {8}}),
			want: merge(wantGlobals, wantAttention(layer0), wantMLP, map[string]wantTensor{
				"blk.0.post_attention_norm.weight": same(layer0+"post_attention_layernorm.weight", 16),
				"blk.0.post_ffw_norm.weight":       same(layer0+"post_feedforward_layernorm.weight", 16),
				"blk.0.attn_q_norm.weight":         same(layer0+"self_attn.q_norm.weight", 16),
				"blk.0.attn_k_norm.weight":         same(layer0+"self_attn.k_norm.weight", 8)}),
		},
		{
			name: "glm4",
			config: `{"architectures":["Glm4ForCausalLM"],` + sizes +
				`,"intermediate_size":24,"head_dim":4,"partial_rotary_factor":0.5}`,
			stored: merge(globals, attentionTensors(layer0), preNorms,
				map[string][]int{layer0 + "post_self_attn_layernorm.weight": {16},
					layer0 + "post_mlp_layernorm.weight": {16},
					layer0 + "mlp.gate_up_proj.weight":   {48, 16}, layer0 + "mlp.down_proj.weight": {16, 24}}),
			want: merge(wantGlobals, wantAttention(layer0), wantPreNorms, map[string]wantTensor{
				"blk.0.post_attention_norm.weight": same(layer0+"post_self_attn_layernorm.weight", 16),
				"blk.0.post_ffw_norm.weight":       same(layer0+"post_mlp_layernorm.weight", 16),
				"blk.0.ffn_up.weight":              same(layer0+"mlp.gate_up_proj.weight", 48, 16),
				"blk.0.ffn_down.weight":            same(layer0+"mlp.down_proj.weight", 16, 24)}),
			keys: map[string]any{"glm4.rope.dimension_count": uint32(2)},
		},
		{
			name: "phi3 with two tables of factors",
			config: `{"architectures":["Phi3ForCausalLM"],` + strings.Replace(sizes, `_embeddings":64`, `_embeddings":128`, 1) + `,"intermediate_size":24,"original_max_position_embeddings":32,"sliding_window":null,
				"rope_scaling":{"type":"longrope","long_factor":[2.0,4.0],"short_factor":[1.0,1.5]}}`,
			stored: merge(globals, preNorms,
				map[string][]int{layer0 + "self_attn.qkv_proj.weight": {32, 16},
					layer0 + "self_attn.o_proj.weight": {16, 16},
					layer0 + "mlp.gate_up_proj.weight": {48, 16}, layer0 + "mlp.down_proj.weight": {16, 24}}),
			want: merge(wantGlobals, wantPreNorms, map[string]wantTensor{
				"blk.0.attn_qkv.weight":    same(layer0+"self_attn.qkv_proj.weight", 32, 16),
				"blk.0.attn_output.weight": same(layer0+"self_attn.o_proj.weight", 16, 16),
				"blk.0.ffn_up.weight":      same(layer0+"mlp.gate_up_proj.weight", 48, 16),
				"blk.0.ffn_down.weight":    same(layer0+"mlp.down_proj.weight", 16, 24),
				"rope_factors_long.weight": {shape: []int{2}}, "rope_factors_short.weight": {shape: []int{2}}}),
			keys: map[string]any{"phi3.rope.scaling.original_context_length": uint32(32),
				"phi3.rope.scaling.type": "longrope", "phi3.attention.sliding_window": uint32(0),
				"phi3.rope.scaling.attn_factor": float32(math.Sqrt(1 + math.Log(4)/math.Log(32)))},
		},
		gemma2Case(), gemma3Case(), gemma4Case(), qwen35moeCase(), qwen3nextCase(), dots1Case(), phimoeCase(),
		qwen2vlCase(), qwen3vlmoeCase(), mistral3Case(), ministral3Case(),
		granitemoeCase(),
	}
}

func expertTensors(dir string, n int, gate, up, down string) map[string][]int {
	m := map[string][]int{}
	for k := range n {
		m[fmt.Sprintf("%s%d.%s.weight", dir, k, gate)] = []int{24, 16}
		m[fmt.Sprintf("%s%d.%s.weight", dir, k, up)] = []int{24, 16}
		m[fmt.Sprintf("%s%d.%s.weight", dir, k, down)] = []int{16, 24}
	}
	return m
}

func wantExperts(dir string, n int, gate, up, down string) map[string]wantTensor {
	stacked := func(p string, shape ...int) wantTensor {
		return wantTensor{shape: append([]int{n}, shape...), from: func(i int) (string, int) {
			return fmt.Sprintf("%s%d.%s.weight", dir, i/(24*16), p), i % (24 * 16)
		}}
	}
	return map[string]wantTensor{
		"blk.0.ffn_gate_exps.weight": stacked(gate, 24, 16), "blk.0.ffn_up_exps.weight": stacked(up, 24, 16),
		"blk.0.ffn_down_exps.weight": stacked(down, 16, 24),
	}
}

// gemma3Case is a multimodal checkpoint: the sizes are nested, and names have another prefix.
func gemma3Case() familyCase {
	const l = "language_model.model.layers.0."
	stored := map[string][]int{"language_model.model.embed_tokens.weight": {vocab, 16},
		"language_model.model.norm.weight": {16},
		"vision_tower.vision_model.x":      {2}, "multi_modal_projector.y": {2},
		l + "mlp.gate_proj.weight": {24, 16}, l + "mlp.up_proj.weight": {24, 16}, l + "mlp.down_proj.weight": {16, 24}}
	want := map[string]wantTensor{"token_embd.weight": same("language_model.model.embed_tokens.weight", vocab, 16),
		"output_norm.weight":    plus1("language_model.model.norm.weight", 16),
		"blk.0.ffn_gate.weight": same(l+"mlp.gate_proj.weight", 24, 16),
		"blk.0.ffn_up.weight":   same(l+"mlp.up_proj.weight", 24, 16),
		"blk.0.ffn_down.weight": same(l+"mlp.down_proj.weight", 16, 24)}
	for from, to := range map[string]string{"input_layernorm": "attn_norm",
		"post_attention_layernorm": "post_attention_norm", "pre_feedforward_layernorm": "ffn_norm",
		"post_feedforward_layernorm": "post_ffw_norm"} {
		stored[l+from+".weight"], want["blk.0."+to+".weight"] = []int{16}, plus1(l+from+".weight", 16)
	}
	for from, to := range map[string]string{"self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm"} {
		stored[l+from+".weight"], want["blk.0."+to+".weight"] = []int{4}, plus1(l+from+".weight", 4)
	}
	return familyCase{
		name: "gemma3, multimodal",
		config: `{"architectures":["Gemma3ForConditionalGeneration"],"text_config":{` + sizes + `,"intermediate_size":24,"head_dim":4,"query_pre_attn_scalar":16,"sliding_window":8,"sliding_window_pattern":6,
			"rope_theta":1000000.0,"rope_local_base_freq":10000.0,"rope_scaling":{"rope_type":"linear","factor":8.0}},"vision_config":{"hidden_size":3}}`,
		stored: merge(stored, attentionTensors(l)),
		want:   merge(want, wantAttention(l)),
		keys: map[string]any{"gemma3.attention.sliding_window": uint32(8),
			"gemma3.attention.sliding_window_pattern": uint32(6), "gemma3.rope.freq_base": float32(1e6),
			"gemma3.rope.freq_base_swa": float32(1e4), "gemma3.rope.scaling.type": "linear",
			"gemma3.rope.scaling.factor": float32(8), "gemma3.attention.scale": float32(0.25),
			"gemma3.attention.key_length": uint32(4)},
		notes: []string{"multi_modal_projector", "vision_tower"},
	}
}

// qwen35moeCase has one DeltaNet layer with three value heads for each of two key heads, experts with gate and up in
// one tensor, and a draft layer with experts one by one.
func qwen35moeCase() familyCase {
	const l = "model.language_model.layers.0."
	const m = "mtp.layers.0."
	const keys, values, dim = 2, 6, 4
	head := func(i int) int { return i%keys*(values/keys) + i/keys } // where value head i comes from
	valueRow := func(r int) int { return head(r/dim)*dim + r%dim }
	qkvRow := func(r int) int {
		if r < 2*keys*dim {
			return r
		}
		return 2*keys*dim + valueRow(r-2*keys*dim)
	}
	rows := func(cols int, row func(int) int) func(int) int {
		return func(i int) int { return row(i/cols)*cols + i%cols }
	}
	shared := func(l, blk string) (map[string][]int, map[string]wantTensor) {
		s := map[string][]int{l + "mlp.gate.weight": {2, 16}, l + "mlp.shared_expert.gate_proj.weight": {8, 16},
			l + "mlp.shared_expert.up_proj.weight":   {8, 16},
			l + "mlp.shared_expert.down_proj.weight": {16, 8}, l + "mlp.shared_expert_gate.weight": {1, 16}, l +
				"input_layernorm.weight": {16}, l + "post_attention_layernorm.weight": {16}}
		w := map[string]wantTensor{blk + "ffn_gate_inp.weight": same(l+"mlp.gate.weight", 2, 16),
			blk + "ffn_gate_shexp.weight": same(l+"mlp.shared_expert.gate_proj.weight", 8, 16),
			blk + "ffn_up_shexp.weight":   same(l+"mlp.shared_expert.up_proj.weight", 8, 16), blk +
				"ffn_down_shexp.weight": same(l+"mlp.shared_expert.down_proj.weight", 16, 8),
			blk + "ffn_gate_inp_shexp.weight": same(l+"mlp.shared_expert_gate.weight", 16),
			blk + "attn_norm.weight":          plus1(l+"input_layernorm.weight", 16), blk +
				"post_attention_norm.weight": plus1(l+"post_attention_layernorm.weight", 16)}
		return s, w
	}
	s0, w0 := shared(l, "blk.0.")
	s1, w1 := shared(m, "blk.1.")
	experts := wantExperts(m+"mlp.experts.", 2, "gate_proj", "up_proj", "down_proj")
	attention := wantAttention(m)
	attention["blk.0.attn_q.weight"] = same(m+"self_attn.q_proj.weight", 32, 16)
	draft := map[string]wantTensor{}
	for _, part := range []map[string]wantTensor{experts, attention} {
		for name, w := range part {
			draft[strings.Replace(name, "blk.0.", "blk.1.", 1)] = w
		}
	}
	a := mapped(l+"linear_attn.A_log", head, values)
	a.value = negExp
	return familyCase{
		name: "qwen35moe with draft layer",
		config: `{"architectures":["Qwen3_5MoeForConditionalGeneration"],"tie_word_embeddings":false,"text_config":{` + sizes + `,"head_dim":4,"num_experts":2,"num_experts_per_tok":1,"moe_intermediate_size":24,"shared_expert_intermediate_size":8,
			"linear_num_key_heads":2,"linear_num_value_heads":6,"linear_key_head_dim":4,"linear_value_head_dim":4,"linear_conv_kernel_dim":4,"layer_types":["linear_attention"],
			"full_attention_interval":4,"mtp_num_hidden_layers":1,"rope_parameters":{"rope_theta":10000000,"rope_type":"default","partial_rotary_factor":0.5,"mrope_section":[1,0,0],"mrope_interleaved":true}}}`,
		stored: merge(map[string][]int{"model.language_model.embed_tokens.weight": {vocab, 16},
			"model.language_model.norm.weight": {16}, "lm_head.weight": {vocab, 16},
			"model.visual.blocks.0.x": {2}, "mtp.fc.weight": {16, 32}, "mtp.norm.weight": {16},
			"mtp.pre_fc_norm_embedding.weight": {16}, "mtp.pre_fc_norm_hidden.weight": {16},
			l + "mlp.experts.gate_up_proj": {2, 48, 16}, l + "mlp.experts.down_proj": {2, 16, 24},
			l + "linear_attn.in_proj_qkv.weight": {40, 16}, l + "linear_attn.in_proj_z.weight": {24, 16}, l +
				"linear_attn.in_proj_a.weight": {6, 16}, l + "linear_attn.in_proj_b.weight": {6, 16},
			l + "linear_attn.conv1d.weight": {40, 1, 4}, l + "linear_attn.A_log": {6}, l + "linear_attn.dt_bias": {6},
			l + "linear_attn.norm.weight": {4}, l + "linear_attn.out_proj.weight": {16, 24},
			m + "self_attn.q_norm.weight": {4}, m + "self_attn.k_norm.weight": {4}},
			s0, s1, attentionTensors(m), map[string][]int{m + "self_attn.q_proj.weight": {32, 16}},
			expertTensors(m+"mlp.experts.", 2, "gate_proj", "up_proj", "down_proj")),
		want: merge(map[string]wantTensor{"token_embd.weight": same("model.language_model.embed_tokens.weight", vocab,
			16), "output_norm.weight": plus1("model.language_model.norm.weight", 16),
			"output.weight":           same("lm_head.weight", vocab, 16),
			"blk.0.attn_qkv.weight":   mapped(l+"linear_attn.in_proj_qkv.weight", rows(16, qkvRow), 40, 16),
			"blk.0.attn_gate.weight":  mapped(l+"linear_attn.in_proj_z.weight", rows(16, valueRow), 24, 16),
			"blk.0.ssm_alpha.weight":  mapped(l+"linear_attn.in_proj_a.weight", rows(16, head), 6, 16),
			"blk.0.ssm_beta.weight":   mapped(l+"linear_attn.in_proj_b.weight", rows(16, head), 6, 16),
			"blk.0.ssm_conv1d.weight": mapped(l+"linear_attn.conv1d.weight", rows(4, qkvRow), 40, 4), "blk.0.ssm_a": a,
			"blk.0.ssm_dt.bias":     mapped(l+"linear_attn.dt_bias", head, 6),
			"blk.0.ssm_norm.weight": same(l+"linear_attn.norm.weight", 4),
			"blk.0.ssm_out.weight": mapped(l+"linear_attn.out_proj.weight",
				func(i int) int { return i/24*24 + valueRow(i%24) }, 16, 24),
			"blk.0.ffn_gate_exps.weight": mapped(l+"mlp.experts.gate_up_proj",
				func(i int) int { return i/(24*16)*48*16 + i%(24*16) }, 2, 24, 16),
			"blk.0.ffn_up_exps.weight": mapped(l+"mlp.experts.gate_up_proj",
				func(i int) int { return i/(24*16)*48*16 + 24*16 + i%(24*16) }, 2, 24, 16),
			"blk.0.ffn_down_exps.weight":          same(l+"mlp.experts.down_proj", 2, 16, 24),
			"blk.1.attn_q_norm.weight":            plus1(m+"self_attn.q_norm.weight", 4),
			"blk.1.attn_k_norm.weight":            plus1(m+"self_attn.k_norm.weight", 4),
			"blk.1.nextn.eh_proj.weight":          same("mtp.fc.weight", 16, 32),
			"blk.1.nextn.shared_head_norm.weight": plus1("mtp.norm.weight", 16),
			"blk.1.nextn.enorm.weight":            plus1("mtp.pre_fc_norm_embedding.weight", 16),
			"blk.1.nextn.hnorm.weight":            plus1("mtp.pre_fc_norm_hidden.weight", 16)},
			w0, w1, draft),
		keys: map[string]any{"qwen35moe.block_count": uint32(2), "qwen35moe.nextn_predict_layers": uint32(1),
			"qwen35moe.ssm.group_count": uint32(2), "qwen35moe.ssm.time_step_rank": uint32(6),
			"qwen35moe.ssm.inner_size": uint32(24), "qwen35moe.ssm.state_size": uint32(4),
			"qwen35moe.rope.dimension_count": uint32(2), "qwen35moe.full_attention_interval": uint32(4)},
		notes: []string{"model.visual."},
	}
}

// qwen3nextCase has fused inputs: q, k, v and z for each key head in turn.
func qwen3nextCase() familyCase {
	const group, dim, per = 4 + 4 + 8 + 8, 4, 8 // rows of a key head; per: of its two value heads
	part := func(size, off int) func(i int) int {
		return func(i int) int { r := i / 16; return (r/size*group+off+r%size)*16 + i%16 }
	}
	qkv := func(i int) int {
		switch r := i / 16; {
		case r < 2*dim:
			return part(dim, 0)(i)
		case r < 4*dim:
			return part(dim, dim)(i - 2*dim*16)
		}
		return part(per, 2*dim)(i - 4*dim*16)
	}
	l := layer0
	a := same(l+"linear_attn.A_log", 4)
	a.value = negExp
	return familyCase{
		name: "qwen3next",
		config: `{"architectures":["Qwen3NextForCausalLM"],` + sizes + `,"intermediate_size":24,"head_dim":4,"num_experts":0,"linear_num_key_heads":2,"linear_num_value_heads":4,"linear_key_head_dim":4,"linear_value_head_dim":4,"linear_conv_kernel_dim":4,
			"partial_rotary_factor":0.5}`,
		stored: merge(globals, map[string][]int{l + "input_layernorm.weight": {16},
			l + "post_attention_layernorm.weight": {16}, l + "linear_attn.in_proj_qkvz.weight": {48, 16}, l +
				"linear_attn.in_proj_ba.weight": {8, 16},
			l + "linear_attn.conv1d.weight": {32, 1, 4}, l + "linear_attn.A_log": {4}, l + "linear_attn.dt_bias": {4},
			l + "linear_attn.norm.weight": {4}, l + "linear_attn.out_proj.weight": {16, 16},
			l + "mlp.gate_proj.weight": {24, 16}, l + "mlp.up_proj.weight": {24, 16}, l +
				"mlp.down_proj.weight": {16, 24}}),
		want: merge(wantGlobals, map[string]wantTensor{"output_norm.weight": plus1("model.norm.weight", 16),
			"blk.0.attn_norm.weight":           plus1(l+"input_layernorm.weight", 16),
			"blk.0.post_attention_norm.weight": plus1(l+"post_attention_layernorm.weight", 16),
			"blk.0.attn_qkv.weight":            mapped(l+"linear_attn.in_proj_qkvz.weight", qkv, 32, 16),
			"blk.0.attn_gate.weight": mapped(l+"linear_attn.in_proj_qkvz.weight", part(per, 2*dim+per), 16,
				16),
			"blk.0.ssm_ba.weight":     same(l+"linear_attn.in_proj_ba.weight", 8, 16),
			"blk.0.ssm_conv1d.weight": same(l+"linear_attn.conv1d.weight", 32, 4), "blk.0.ssm_a": a,
			"blk.0.ssm_dt.bias":     same(l+"linear_attn.dt_bias", 4),
			"blk.0.ssm_norm.weight": same(l+"linear_attn.norm.weight", 4),
			"blk.0.ssm_out.weight":  same(l+"linear_attn.out_proj.weight", 16, 16),
			"blk.0.ffn_gate.weight": same(l+"mlp.gate_proj.weight", 24, 16),
			"blk.0.ffn_up.weight":   same(l+"mlp.up_proj.weight", 24, 16),
			"blk.0.ffn_down.weight": same(l+"mlp.down_proj.weight", 16, 24)}),
	}
}

// TestFamilies opens models of sample values and checks every tensor's name, shape and elements, and the keys.
func TestFamilies(t *testing.T) {
	for _, c := range familyCases() {
		t.Run(c.name, func(t *testing.T) {
			stored := map[string]stTensor{}
			for name, shape := range c.stored {
				stored[name] = sampleTensor(t, name, shape...)
			}
			f := openFolder(t, makeFolder(t, c.config, stored))
			for _, info := range f.Tensors() {
				if _, ok := c.want[info.Name]; !ok {
					t.Errorf("there is a tensor %s %v", info.Name, info.Shape)
				}
			}
			for _, name := range sortedKeys(c.want) {
				checkTensor(t, f, name, c.want[name])
			}
			checkKeys(t, f.Meta, c.keys)
			notes := strings.Join(f.Notes, "\n")
			for _, n := range c.notes {
				if !strings.Contains(notes, n) {
					t.Errorf("no note says %q: %q", n, notes)
				}
			}
			if len(f.Notes) != len(c.notes) {
				t.Errorf("notes %q, want %d", f.Notes, len(c.notes))
			}
		})
	}
}

func checkTensor(t *testing.T, f *Folder, name string, w wantTensor) {
	t.Helper()
	info, ok := f.Tensor(name)
	if !ok || !info.Shape.Equal(w.shape) {
		t.Errorf("%s: shape %v (%v), want %v", name, info.Shape, ok, w.shape)
		return
	}
	dtype := tensor.BF16
	if len(w.shape) == 1 || strings.HasSuffix(name, "ffn_gate_inp.weight") ||
		strings.HasSuffix(name, "conv1d.weight") {
		dtype = tensor.F32
	}
	if info.DType != dtype {
		t.Errorf("%s is %v, want %v", name, info.DType, dtype)
	}
	got := readFloats(t, f, name)
	for i, x := range got {
		if w.from == nil {
			break
		}
		from, at := w.from(i)
		want := sampleAt(from, at)
		if w.value != nil {
			want = w.value(want)
		}
		if x != want {
			t.Errorf("%s: element %d is %v, want %v from element %d of %s", name, i, x, want, at, from)
			return
		}
	}
}

func checkKeys(t *testing.T, meta *gguf.Meta, want map[string]any) {
	t.Helper()
	for _, key := range sortedKeys(want) {
		if got, _ := meta.Value(key); !reflect.DeepEqual(got, want[key]) {
			t.Errorf("key %s is %T %v, want %T %v", key, got, got, want[key], want[key])
		}
	}
}

// TestLlama3Factors checks the factors against those of Llama 3.1.
func TestLlama3Factors(t *testing.T) {
	b := &builder{entries: map[string]*entry{}, stored: map[string]*stored{}, family: &family{arch: "llama"}}
	root, err := strictjson.Parse(
		[]byte(`{"rope_theta":500000,"rope_scaling":{"rope_type":"llama3","factor":8,"low_freq_factor":1,"high_freq_factor":4,"original_max_position_embeddings":8192}}`), limits)
	if err != nil {
		t.Fatal(err)
	}
	b.cfg = newConfig("config.json", root)
	b.llama3Factors(128)
	if b.err != nil || *b.cfg.err != nil {
		t.Fatal(b.err, *b.cfg.err)
	}
	e := b.entries["rope_freqs.weight"]
	got := make([]float32, 64)
	if err := e.data.floats(got, 0, 1); err != nil {
		t.Fatal(err)
	}
	// The numbers of the middle pairs are those of llama.cpp's converter.
	want := map[int]float32{0: 1, 28: 1, 29: 1.207484, 30: 1.553415, 31: 2.026313, 32: 2.69453, 33: 3.684253,
		34: 5.257327, 35: 8, 63: 8}
	for i, w := range want {
		if math.Abs(float64(got[i]-w)) > 1e-6*float64(w) {
			t.Errorf("factor %d is %v, want %v", i, got[i], w)
		}
	}
}

// TestModelsAreSorted guards the list that error messages show.
func TestModelsAreSorted(t *testing.T) {
	if m := Models(); !slices.IsSorted(m) || len(m) < 20 {
		t.Errorf("models %v", m)
	}
}
