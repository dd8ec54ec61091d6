package convert

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/internal/tiny"
	"github.com/hipengine/hipengine/tensor"
)

// mixModel is a model without weights whose tensors llama-quantize was asked to give types.
type mixModel struct {
	name, arch string
	keys       map[string]any // in place of those of package tiny
	tied       bool           // no output.weight
	cols       int            // length of rows; 0: 256
	layer      func(i int) []string
	globals    []string
}

// The tensors of layers. Names that hold _exps are stacks of experts.
var (
	mixAttention = []string{"attn_norm.weight", "attn_q.weight", "attn_k.weight", "attn_v.weight",
		"attn_output.weight", "ffn_norm.weight"}
	mixMLP     = []string{"ffn_gate.weight", "ffn_up.weight", "ffn_down.weight"}
	mixExperts = []string{"ffn_gate_inp.weight", "ffn_gate_exps.weight", "ffn_up_exps.weight",
		"ffn_down_exps.weight"}
	mixShared = []string{"ffn_gate_inp_shexp.weight", "ffn_gate_shexp.weight", "ffn_up_shexp.weight",
		"ffn_down_shexp.weight"}
	mixDeltaNet = []string{"attn_norm.weight", "attn_qkv.weight", "attn_gate.weight", "ssm_alpha.weight",
		"ssm_beta.weight", "ssm_conv1d.weight",
		"ssm_a", "ssm_dt.bias", "ssm_norm.weight", "ssm_out.weight", "post_attention_norm.weight"}
)

func everyLayer(parts ...[]string) func(int) []string {
	var all []string
	for _, p := range parts {
		all = append(all, p...)
	}
	return func(int) []string { return all }
}

// hybridLayers are three DeltaNet layers to one of attention.
func hybridLayers(ffn ...[]string) func(int) []string {
	delta, attention := everyLayer(append(ffn, mixDeltaNet)...), everyLayer(append(ffn, mixAttention)...)
	return func(i int) []string {
		if i%4 == 3 {
			return attention(i)
		}
		return delta(i)
	}
}

func mixKeys(layers, heads, kv int, more ...any) map[string]any {
	m := map[string]any{"block_count": uint32(layers), "attention.head_count": uint32(heads),
		"attention.head_count_kv": uint32(kv)}
	for i := 0; i < len(more); i += 2 {
		m[more[i].(string)] = more[i+1]
	}
	return m
}

func mixModels() []mixModel {
	return []mixModel{
		{name: "grouped", arch: "llama", keys: mixKeys(32, 32, 8), layer: everyLayer(mixAttention, mixMLP)},
		{name: "not_grouped", arch: "llama", keys: mixKeys(20, 8, 8), layer: everyLayer(mixAttention, mixMLP)},
		{name: "tied", arch: "qwen3", keys: mixKeys(28, 16, 8), tied: true, layer: everyLayer(mixAttention, mixMLP)},
		{name: "few_layers", arch: "qwen2", keys: mixKeys(3, 14, 2), tied: true,
			layer: everyLayer(mixAttention, mixMLP)},
		{name: "eighty_layers", arch: "llama", keys: mixKeys(80, 64, 8), layer: everyLayer(mixAttention, mixMLP)},
		{name: "eight_experts", arch: "llama",
			keys:  mixKeys(16, 32, 8, "expert_count", uint32(8), "expert_used_count", uint32(2)),
			layer: everyLayer(mixAttention, mixExperts)},
		{name: "experts", arch: "qwen3moe", keys: mixKeys(24, 32, 4, "expert_count", uint32(16)),
			layer: everyLayer(mixAttention, mixExperts)},
		{name: "hybrid", arch: "qwen35", keys: mixKeys(24, 8, 2, "rope.dimension_sections", []int32{2, 2, 0, 0}),
			tied: true, layer: hybridLayers(mixMLP)},
		{name: "hybrid_experts", arch: "qwen35moe", keys: mixKeys(16, 16, 2, "expert_count", uint32(16),
			"rope.dimension_sections", []int32{2, 2, 0, 0}), layer: hybridLayers(mixExperts, mixShared)},
		{name: "fused", arch: "phi3", keys: mixKeys(16, 32, 32),
			layer: everyLayer([]string{"attn_norm.weight", "attn_qkv.weight", "attn_output.weight", "ffn_norm.weight",
				"ffn_up.weight", "ffn_down.weight"})},
		{name: "embeddings_per_layer", arch: "gemma4", keys: map[string]any{"attention.value_length_swa": uint32(16)},
			tied: true, layer: everyLayer(mixAttention, mixMLP, []string{"inp_gate.weight", "proj.weight"}),
			globals: []string{"per_layer_token_embd.weight", "per_layer_model_proj.weight",
				"per_layer_proj_norm.weight"}},
		{name: "rows_of_32", arch: "gpt-oss", keys: mixKeys(8, 64, 8, "expert_count", uint32(4)), cols: 288,
			layer: everyLayer(mixAttention, mixExperts)},
	}
}

// model returns metadata and tensors, in the order of llama-quantize.
func (m mixModel) model(t *testing.T) (*gguf.Meta, []gguf.TensorInfo) {
	t.Helper()
	meta := tiny.Meta(m.arch)
	for name, v := range m.keys {
		if err := meta.Set(m.arch+"."+name, v); err != nil {
			t.Fatal(err)
		}
	}
	cols := m.cols
	if cols == 0 {
		cols = 256
	}
	layers, err := meta.Int(m.arch + ".block_count")
	if err != nil {
		t.Fatal(err)
	}
	experts, err := meta.IntOr(m.arch+".expert_count", 1)
	if err != nil {
		t.Fatal(err)
	}
	names := append([]string{"token_embd.weight", "output_norm.weight"}, m.globals...)
	if !m.tied {
		names = append(names, "output.weight")
	}
	for i := range int(layers) {
		for _, n := range m.layer(i) {
			names = append(names, fmt.Sprintf("blk.%d.%s", i, n))
		}
	}
	var infos []gguf.TensorInfo
	for _, n := range names {
		info := gguf.TensorInfo{Name: n, DType: tensor.F16, Shape: tensor.Shape{8, cols}}
		switch {
		case strings.Contains(n, "norm"), strings.Contains(n, "ssm_a") && !strings.Contains(n, "alpha"),
			strings.HasSuffix(n, ".bias"), strings.Contains(n, "inp_shexp"):
			info.DType, info.Shape = tensor.F32, tensor.Shape{cols}
		case strings.Contains(n, "ffn_gate_inp"), strings.Contains(n, "conv1d"):
			info.DType = tensor.F32
		case strings.Contains(n, "_exps"):
			info.Shape = tensor.Shape{int(experts), 8, cols}
		}
		infos = append(infos, info)
	}
	return meta, SortTensors(infos)
}

// TestTypesOfLlamaQuantize compares with what llama_model_quantize of llama.cpp (release v0.5.0) chose for models of
// many kinds, in every mixture, without an importance matrix and with one. A line of the file is the model, the
// mixture, whether there was a matrix (missing where it makes no difference), the type of most tensors, and the others
// as "NAME=TYPE" or "NAME=TYPE@LAYERS". Tensors of F32 stay F32.
func TestTypesOfLlamaQuantize(t *testing.T) {
	b, err := os.ReadFile("testdata/llama_quantize_types.txt")
	if err != nil {
		t.Fatal(err)
	}
	lines := map[string][]string{}
	for line := range strings.Lines(string(b)) {
		fields := strings.Fields(line)
		lines[strings.Join(fields[:3], " ")] = fields[3:]
	}
	used := map[string]bool{}
	for _, m := range mixModels() {
		meta, infos := m.model(t)
		for _, typ := range FTypes() {
			if typ == "f32" {
				continue // to quantize nothing is no work for llama-quantize
			}
			for _, matrix := range []string{"plain", "imatrix"} {
				t.Run(m.name+"/"+typ+"/"+matrix, func(t *testing.T) {
					key := strings.Join([]string{m.name, typ, matrix}, " ")
					if lines[key] == nil {
						key = strings.Join([]string{m.name, typ, "plain"}, " ")
					}
					if used[key] = true; lines[key] == nil {
						t.Fatal("the file says nothing about it")
					}
					compareTypes(t, meta, infos, typ, matrix == "imatrix", lines[key])
				})
			}
		}
	}
	if len(used) != len(lines) {
		t.Errorf("the file has %d lines, of which %d were compared", len(lines), len(used))
	}
}

// compareTypes gives tensors their types and compares with the last fields of a line.
func compareTypes(t *testing.T, meta *gguf.Meta, infos []gguf.TensorInfo, typ string, matrix bool, fields []string) {
	t.Helper()
	ftype, err := ParseFType(typ)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Types(meta, infos, ftype, matrix)
	if err != nil {
		t.Fatal(err)
	}
	special := exceptions(t, fields[1:])
	for i, info := range infos {
		want, ok := special[info.Name]
		switch {
		case ok:
		case info.DType == tensor.F32:
			want = tensor.F32
		default:
			want = parseType(t, fields[0])
		}
		delete(special, info.Name)
		if got[i] != want {
			t.Errorf("%s: %v, llama-quantize chose %v", info.Name, got[i], want)
		}
	}
	if len(special) > 0 {
		t.Errorf("the model has no tensors %v", special)
	}
}

func parseType(t *testing.T, name string) tensor.DType {
	t.Helper()
	d, ok := tensor.ParseDType(strings.ToUpper(name))
	if !ok {
		t.Fatalf("unknown type %q", name)
	}
	return d
}

// exceptions reads "NAME=TYPE" and "NAME=TYPE@LAYER,LAYER-LAYER".
func exceptions(t *testing.T, fields []string) map[string]tensor.DType {
	t.Helper()
	out := map[string]tensor.DType{}
	for _, field := range fields {
		name, rest, _ := strings.Cut(field, "=")
		typ, layers, inLayers := strings.Cut(rest, "@")
		if !inLayers {
			out[name] = parseType(t, typ)
			continue
		}
		for r := range strings.SplitSeq(layers, ",") {
			first, last, ok := strings.Cut(r, "-")
			if !ok {
				last = first
			}
			a, err1 := strconv.Atoi(first)
			b, err2 := strconv.Atoi(last)
			if err := errors.Join(err1, err2); err != nil {
				t.Fatal(err)
			}
			for i := a; i <= b; i++ {
				out[fmt.Sprintf("blk.%d.%s", i, name)] = parseType(t, typ)
			}
		}
	}
	return out
}
