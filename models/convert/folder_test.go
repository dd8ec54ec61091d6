package convert

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/internal/safetensors"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// valueAt are weights of one sign and another, smooth enough to be quantized.
func valueAt(name string, i int) float32 {
	return float32((i*37+len(name)*11)%201-100) / 128
}

// makeFolder writes a folder of Qwen 2 with hidden size 256 and the given tensors in F32, and the tokenizer of package
// hf's tests.
func makeFolder(t *testing.T, shapes map[string][]int) string {
	t.Helper()
	return makeFolderOf(t, shapes, valueAt)
}

// makeFolderOf is makeFolder with weights of the caller's choice.
func makeFolderOf(t *testing.T, shapes map[string][]int, value func(name string, i int) float32) string {
	t.Helper()
	dir := t.TempDir()
	tensors := map[string]safetensors.Tensor{}
	for name, shape := range shapes {
		n := tensor.Shape(shape).Elems()
		x, b := make([]float32, n), make([]byte, 4*n)
		for i := range x {
			x[i] = value(name, i)
		}
		if err := quant.Quantize(tensor.F32, b, x, n, nil); err != nil {
			t.Fatal(err)
		}
		tensors[name] = safetensors.Tensor{DType: "F32", Shape: shape, Data: b}
	}
	file, err := safetensors.Encode(tensors)
	if err != nil {
		t.Fatal(err)
	}
	tok, err1 := os.ReadFile("../hf/testdata/tiny/tokenizer.json")
	err2 := os.WriteFile(filepath.Join(dir, "tokenizer.json"), tok, 0o666)
	err3 := os.WriteFile(filepath.Join(dir, "model.safetensors"), file, 0o666)
	err4 := os.WriteFile(filepath.Join(dir, "config.json"), []byte(`{"architectures":["Qwen2ForCausalLM"],"hidden_size":256,"intermediate_size":256,"num_hidden_layers":1,
		"num_attention_heads":2,"num_key_value_heads":2,"max_position_embeddings":64,"rms_norm_eps":1e-6,"rope_theta":1000000.0,"tie_word_embeddings":true}`), 0o666)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	return dir
}

func qwen2Shapes() map[string][]int {
	const l = "model.layers.0."
	shapes := map[string][]int{"model.embed_tokens.weight": {512, 256}, "model.norm.weight": {256}, "visual.x": {2},
		l + "input_layernorm.weight": {256}, l + "post_attention_layernorm.weight": {256}}
	for _, p := range []string{"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
		"mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"} {
		shapes[l+p+".weight"] = []int{256, 256}
	}
	for _, p := range []string{"q", "k", "v"} {
		shapes[l+"self_attn."+p+"_proj.bias"] = []int{256}
	}
	return shapes
}

// TestConvertTypes converts one folder to several types: each matrix must be the quantized original, vectors stay F32.
func TestConvertTypes(t *testing.T) {
	dir := makeFolder(t, qwen2Shapes())
	for f, want := range map[FType]map[string]tensor.DType{
		F32:  {"token_embd.weight": tensor.F32, "blk.0.attn_v.weight": tensor.F32},
		F16:  {"token_embd.weight": tensor.F16, "blk.0.attn_v.weight": tensor.F16},
		BF16: {"token_embd.weight": tensor.BF16, "blk.0.attn_v.weight": tensor.BF16},
		Q8_0: {"token_embd.weight": quant.Q8_0, "blk.0.attn_v.weight": quant.Q8_0},
		Q4_K_M: {"token_embd.weight": quant.Q6_K, "blk.0.attn_v.weight": quant.Q6_K,
			"blk.0.ffn_up.weight": quant.Q4_K},
	} {
		t.Run(f.String(), func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out.gguf")
			var notes []string
			if err := Convert(t.Context(), dir, out,
				Options{Type: f, Note: func(s string) { notes = append(notes, s) }}); err != nil {
				t.Fatal(err)
			}
			if len(notes) != 1 || !strings.Contains(notes[0], "visual.") {
				t.Errorf("notes %q", notes)
			}
			g := openGGUF(t, out)
			want["blk.0.attn_norm.weight"], want["blk.0.attn_q.bias"] = tensor.F32, tensor.F32
			from := map[string]string{"token_embd.weight": "model.embed_tokens.weight",
				"blk.0.attn_v.weight":    "model.layers.0.self_attn.v_proj.weight",
				"blk.0.ffn_up.weight":    "model.layers.0.mlp.up_proj.weight",
				"blk.0.attn_norm.weight": "model.layers.0.input_layernorm.weight",
				"blk.0.attn_q.bias":      "model.layers.0.self_attn.q_proj.bias"}
			for name, d := range want {
				info, ok := g.Tensor(name)
				if !ok || info.DType != d {
					t.Errorf("%s is %v (%v), want %v", name, info.DType, ok, d)
					continue
				}
				x := make([]float32, info.Shape.Elems())
				for i := range x {
					x[i] = valueAt(from[name], i)
				}
				b := make([]byte, info.Size)
				if err := quant.Quantize(d, b, x, info.Shape.Last(), nil); err != nil {
					t.Fatal(err)
				}
				if string(b) != string(contents(t, g, info)) {
					t.Errorf("%s: contents differ from the quantized original", name)
				}
			}
			keys := g.Meta.Keys()
			at := func(key string) int { return slices.Index(keys, key) }
			if n, err := g.Meta.Int("general.file_type"); err != nil || FType(n) != f ||
				at("general.file_type") > at("tokenizer.ggml.model") ||
				at("general.quantization_version") != len(keys)-1 {
				t.Errorf("file_type %v (%v), keys %q", n, err, keys)
			}
		})
	}
}

// TestConvertRefusals covers folders that do not become a file.
func TestConvertRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		change func(map[string][]int)
		o      Options
		want   string
	}{
		"tensor of another shape": {func(m map[string][]int) {
			m["model.layers.0.mlp.up_proj.weight"] = []int{128,
				256}
		}, Options{Type: F16}, "[128 256]"},
		"missing bias": {func(m map[string][]int) { delete(m, "model.layers.0.self_attn.q_proj.bias") },
			Options{Type: F16}, "is missing"},
		"no imatrix":   {nil, Options{Type: IQ1_S}, "importance matrix"},
		"unknown type": {nil, Options{Type: 99}, "unknown type"},
	} {
		t.Run(name, func(t *testing.T) {
			shapes := qwen2Shapes()
			if c.change != nil {
				c.change(shapes)
			}
			dir := makeFolder(t, shapes)
			out := filepath.Join(t.TempDir(), "out.gguf")
			err := Convert(t.Context(), dir, out, c.o)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
			if left, _ := os.ReadDir(filepath.Dir(out)); len(left) > 0 {
				t.Errorf("%s is left behind", left[0].Name())
			}
		})
	}
}

// TestQuantizeSplit reads a model in several parts and writes one file.
func TestQuantizeSplit(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "m.gguf")
	meta := &gguf.Meta{}
	if err := meta.Set("general.architecture", "llama"); err != nil {
		t.Fatal(err)
	}
	var infos []gguf.TensorInfo
	for i := range 4 {
		infos = append(infos, gguf.TensorInfo{Name: fmt.Sprintf("blk.%d.ffn_up.weight", 3-i), DType: tensor.F32,
			Shape: tensor.Shape{2, 256}})
	}
	w, err := gguf.Create(path, meta, infos, gguf.WriterOptions{MaxPartSize: 4096})
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range infos {
		if err := w.WriteTensor(i.Name, make([]byte, 2*256*4)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "q.gguf")
	if err := Quantize(t.Context(), w.Paths()[0], out, Options{Type: Q8_0}); err != nil {
		t.Fatal(err)
	}
	g := openGGUF(t, out)
	if len(w.Paths()) < 2 || len(g.Tensors) != 4 || g.Tensors[0].Name != "blk.0.ffn_up.weight" ||
		g.Meta.Has("split.count") {
		t.Errorf("%d parts became %d tensors from %s on, keys %q", len(w.Paths()), len(g.Tensors), g.Tensors[0].Name,
			g.Meta.Keys())
	}
}
