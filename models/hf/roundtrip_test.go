package hf

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/internal/logits"
	"github.com/hipengine/hipengine/internal/testfiles"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
	"github.com/hipengine/hipengine/text/tokenizer"
)

// unconverted is a GGUF file turned back into a folder: values are dequantized to F32, and what a converter does to
// them is undone.
type unconverted struct {
	t      *testing.T
	file   *gguf.File
	stored map[string]stTensor
}

// values returns the elements of a tensor.
func (u *unconverted) values(name string) ([]float32, tensor.Shape) {
	u.t.Helper()
	info, ok := u.file.Tensor(name)
	if !ok {
		u.t.Fatalf("the file has no tensor %q", name)
	}
	b, x := make([]byte, info.Size), make([]float32, info.Shape.Elems())
	if err := u.file.ReadTensor(info, b, 0); err != nil {
		u.t.Fatal(err)
	}
	if err := quant.Dequantize(info.DType, x, b); err != nil {
		u.t.Fatal(err)
	}
	return x, info.Shape
}

// put stores tensor from as to. index says where element i of the result comes from, value changes it; both may be
// nil.
func (u *unconverted) put(from, to string, index func(i int) int, value func(float32) float32) {
	u.t.Helper()
	x, shape := u.values(from)
	u.stored[to] = stTensor{"F32", shape, encoded(u.t, "F32", len(x), func(i int) float32 {
		if index != nil {
			i = index(i)
		}
		if value != nil {
			return value(x[i])
		}
		return x[i]
	})}
}

// folder writes the model with a tokenizer.json of the file's tokens.
func (u *unconverted) folder(config string) string {
	u.t.Helper()
	v, err := tokenizer.FromGGUF(u.file.Meta)
	if err != nil {
		u.t.Fatal(err)
	}
	vocab, added := map[string]int{}, []map[string]any{}
	for i, s := range v.Tokens {
		if v.Types[i] == tokenizer.Normal {
			vocab[s] = i
		} else if v.Types[i] != tokenizer.Unused {
			added = append(added, map[string]any{"id": i, "content": s, "special": true})
		}
	}
	data, err := json.Marshal(map[string]any{"added_tokens": added,
		"pre_tokenizer": map[string]any{"type": "ByteLevel", "add_prefix_space": false, "use_regex": true},
		"decoder":       map[string]any{"type": "ByteLevel"},
		"model":         map[string]any{"type": "BPE", "vocab": vocab, "merges": v.Merges}})
	if err != nil {
		u.t.Fatal(err)
	}
	dir := u.t.TempDir()
	writeFile(u.t, dir, "tokenizer.json", data)
	writeFile(u.t, dir, "config.json", []byte(config))
	writeFile(u.t, dir, "model.safetensors", encodeSafetensors(u.t, u.stored))
	return dir
}

// checkLogits runs a folder and compares with little-endian F32 logits. The bound of 2e-5 is that of float32
// arithmetic.
func checkLogits(t *testing.T, dir string, ids []int32, path string) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := make([]float32, len(raw)/4)
	for i := range want {
		want[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	got, _ := steps(t, startRunner(t, openFolder(t, dir)), ids, 0)
	if len(got) != len(want) {
		t.Fatalf("%d logits, want %d", len(got), len(want))
	}
	rms := logits.RelativeRMS(want, got)
	t.Logf("relative RMS %.2g over %d logits", rms, len(got))
	if !(rms <= 2e-5) {
		t.Errorf("relative RMS %g", rms)
	}
}

// TestLlamaRoundTrip turns a GGUF file of Llama back into a folder, whose logits must be those of the file.
func TestLlamaRoundTrip(t *testing.T) {
	const base = "../../testdata/gguf/llama-Q4_K_M"
	file, err := gguf.Open(base + ".gguf")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	u := &unconverted{t, file, map[string]stTensor{}}
	u.put("token_embd.weight", "model.embed_tokens.weight", nil, nil)
	u.put("output_norm.weight", "model.norm.weight", nil, nil)
	u.put("output.weight", "lm_head.weight", nil, nil)
	_, shape := u.values("blk.0.attn_q.weight")
	cols, dim := shape[1], shape[0]/4
	halves := func(i int) int { // stored row j of a head is row 2j or 2(j-dim/2)+1 of the file's
		row, col := i/cols, i%cols
		j := row % dim
		if j < dim/2 {
			j *= 2
		} else {
			j = 2*(j-dim/2) + 1
		}
		return (row/dim*dim+j)*cols + col
	}
	for i := range 3 {
		blk, l := fmt.Sprintf("blk.%d.", i), fmt.Sprintf("model.layers.%d.", i)
		u.put(blk+"attn_q.weight", l+"self_attn.q_proj.weight", halves, nil)
		u.put(blk+"attn_k.weight", l+"self_attn.k_proj.weight", halves, nil)
		for from, to := range map[string]string{"attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
			"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
			"ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"} {
			u.put(blk+from+".weight", l+to+".weight", nil, nil)
		}
	}
	var fix struct{ Tokens []int32 }
	b, err := os.ReadFile(base + ".json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &fix); err != nil {
		t.Fatal(err)
	}
	dir := u.folder(`{"architectures":["LlamaForCausalLM"],"hidden_size":256,"intermediate_size":512,"num_hidden_layers":3,"num_attention_heads":4,"num_key_value_heads":2,"max_position_embeddings":32768,
		"rms_norm_eps":1e-5,"rope_theta":500000.0,"rope_scaling":{"rope_type":"llama3","factor":8.0,"low_freq_factor":1.0,"high_freq_factor":4.0,"original_max_position_embeddings":8192}}`)
	checkLogits(t, dir, fix.Tokens, base+".logits.f32")
}

// TestEmberRoundTrip does the same with the built-in model: gated DeltaNet with two value heads for each key head.
func TestEmberRoundTrip(t *testing.T) {
	file, err := gguf.Open("../../internal/ember/ember-Q8_0.gguf")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	u := &unconverted{t, file, map[string]stTensor{}}
	minusOne := func(x float32) float32 { return x - 1 }
	u.put("token_embd.weight", "model.embed_tokens.weight", nil, nil)
	u.put("output_norm.weight", "model.norm.weight", nil, minusOne)
	const hidden, keyRows, dim = 256, 2 * 2 * 128, 128
	// Stored value heads 0, 1, 2, 3 are heads 0, 2, 1, 3 of the file, which is its own inverse.
	head := func(h int) int { return []int{0, 2, 1, 3}[h] }
	value := func(r int) int { return head(r/dim)*dim + r%dim }
	rows := func(width, first int, at func(int) int) func(int) int {
		return func(i int) int {
			if r := i / width; r >= first {
				return (first+at(r-first))*width + i%width
			}
			return i
		}
	}
	u.put("blk.8.nextn.eh_proj.weight", "mtp.fc.weight", nil, nil)
	for from, to := range map[string]string{"enorm": "pre_fc_norm_embedding", "hnorm": "pre_fc_norm_hidden",
		"shared_head_norm": "norm"} {
		u.put("blk.8.nextn."+from+".weight", "mtp."+to+".weight", nil, minusOne)
	}
	for i := range 9 {
		blk, l := fmt.Sprintf("blk.%d.", i), fmt.Sprintf("model.layers.%d.", i)
		if i == 8 {
			l = "mtp.layers.0."
		}
		u.put(blk+"attn_norm.weight", l+"input_layernorm.weight", nil, minusOne)
		u.put(blk+"post_attention_norm.weight", l+"post_attention_layernorm.weight", nil, minusOne)
		plain := map[string]string{"ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}
		if i%4 == 3 || i == 8 {
			for from, to := range map[string]string{"attn_q": "q_proj", "attn_k": "k_proj", "attn_v": "v_proj",
				"attn_output": "o_proj"} {
				plain[from] = "self_attn." + to
			}
			u.put(blk+"attn_q_norm.weight", l+"self_attn.q_norm.weight", nil, minusOne)
			u.put(blk+"attn_k_norm.weight", l+"self_attn.k_norm.weight", nil, minusOne)
		} else {
			l := l + "linear_attn."
			u.put(blk+"attn_qkv.weight", l+"in_proj_qkv.weight", rows(hidden, keyRows, value), nil)
			u.put(blk+"attn_gate.weight", l+"in_proj_z.weight", rows(hidden, 0, value), nil)
			u.put(blk+"ssm_alpha.weight", l+"in_proj_a.weight", rows(hidden, 0, head), nil)
			u.put(blk+"ssm_beta.weight", l+"in_proj_b.weight", rows(hidden, 0, head), nil)
			u.put(blk+"ssm_conv1d.weight", l+"conv1d.weight", rows(4, keyRows, value), nil)
			conv := u.stored[l+"conv1d.weight"]
			conv.shape = []int{conv.shape[0], 1, conv.shape[1]}
			u.stored[l+"conv1d.weight"] = conv
			u.put(blk+"ssm_a", l+"A_log", head, func(x float32) float32 { return float32(math.Log(float64(-x))) })
			u.put(blk+"ssm_dt.bias", l+"dt_bias", head, nil)
			u.put(blk+"ssm_norm.weight", l+"norm.weight", nil, nil)
			u.put(blk+"ssm_out.weight", l+"out_proj.weight",
				func(i int) int { return i/(4*dim)*4*dim + value(i%(4*dim)) }, nil)
		}
		for from, to := range plain {
			u.put(blk+from+".weight", l+to+".weight", nil, nil)
		}
	}
	config, err := os.ReadFile("testdata/ember/config.json")
	if err != nil {
		t.Fatal(err)
	}
	dir := u.folder(string(config))
	for _, name := range []string{"generation_config.json", "tokenizer_config.json", "chat_template.jinja"} {
		copyFile(t, "ember/"+name, dir)
	}
	checkLogits(t, dir, testfiles.EmberPrompts(t)[0].IDs, "../../testdata/ember/ember-Q8_0.logits_0.f32")

	// But for the tokenizer, which is not Ember's own, the keys are those of the file.
	f := openFolder(t, dir)
	for _, key := range file.Meta.Keys() {
		if strings.HasPrefix(key, "tokenizer.ggml.") || key == "general.name" || key == "general.file_type" ||
			key == "general.quantization_version" {
			continue
		}
		want, _ := file.Meta.Value(key)
		if got, _ := f.Meta.Value(key); fmt.Sprintf("%T %v", got, got) != fmt.Sprintf("%T %v", want, want) {
			t.Errorf("key %s is %T %v, want %T %v", key, got, got, want, want)
		}
	}
	if f.Vocab.Types[0] != tokenizer.Control || f.Vocab.ExtraEOG[0] != 2 {
		t.Errorf("special tokens: %v, %v", f.Vocab.Types[0], f.Vocab.ExtraEOG)
	}
}
