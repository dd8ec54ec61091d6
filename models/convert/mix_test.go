package convert

import (
	"path"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/internal/testfiles"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// quantized are files that llama.cpp's quantizer wrote, by their paths in the whole set of fixtures.
func quantized() []string {
	files := []string{"builtin-model/ember-Q8_0.gguf", "builtin-model/ember-Q4_K_M.gguf"}
	for _, name := range testfiles.GGUFs {
		files = append(files, "gguf-fixtures/"+name+".gguf")
	}
	return files
}

// TestTypesOfRealFiles gives every tensor of files that llama.cpp quantized the type that it has there.
func TestTypesOfRealFiles(t *testing.T) {
	for _, file := range quantized() {
		name := strings.TrimSuffix(path.Base(file), ".gguf")
		t.Run(name, func(t *testing.T) {
			path := testfiles.Path(t, file)
			f, err := gguf.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			_, typ, _ := strings.Cut(name, "-")
			ftype, err := ParseFType(typ)
			if err != nil {
				t.Fatal(err)
			}
			if n, err := f.Meta.Int("general.file_type"); err != nil || FType(n) != ftype {
				t.Fatalf("file_type %v (%v), the name says %v", FType(n), err, ftype)
			}
			sorted := SortTensors(f.Tensors)
			types, err := Types(f.Meta, sorted, ftype, false)
			if err != nil {
				t.Fatal(err)
			}
			for i, d := range types {
				if sorted[i].Name != f.Tensors[i].Name {
					t.Fatalf("tensor %d is %s, the file has %s there", i, sorted[i].Name, f.Tensors[i].Name)
				}
				if d != sorted[i].DType {
					t.Errorf("%s: %v, the file has %v", sorted[i].Name, d, sorted[i].DType)
				}
			}
		})
	}
}

// TestTypes covers rules that no file at hand shows.
func TestTypes(t *testing.T) {
	type want map[string]tensor.DType
	wide := func(name string) gguf.TensorInfo {
		return gguf.TensorInfo{Name: name, DType: tensor.F16, Shape: tensor.Shape{512, 512}}
	}
	model := func(arch string, layers, heads, kv, experts int) *gguf.Meta {
		m := &gguf.Meta{}
		for k, v := range map[string]any{"block_count": uint32(layers), "attention.head_count": uint32(heads),
			"attention.head_count_kv": uint32(kv), "expert_count": uint32(experts)} {
			if err := m.Set(arch+"."+k, v); err != nil {
				t.Fatal(err)
			}
		}
		if err := m.Set("general.architecture", arch); err != nil {
			t.Fatal(err)
		}
		return m
	}
	llama8B := model("llama", 32, 32, 8, 0)
	cases := []struct {
		name    string
		meta    *gguf.Meta
		f       FType
		imatrix bool
		want    want
	}{
		{"q2_k with few KV heads", llama8B, Q2_K, false,
			want{"blk.0.attn_v.weight": quant.Q4_K, "blk.0.attn_output.weight": quant.Q3_K,
				"blk.9.ffn_down.weight": quant.Q3_K, "blk.0.attn_k.weight": quant.Q2_K, "output.weight": quant.Q6_K}},
		{"q2_k without grouped heads", model("llama", 32, 32, 32, 0), Q2_K, false,
			want{"blk.0.attn_v.weight": quant.Q3_K}},
		{"q3_k_m", llama8B, Q3_K_M, false,
			want{"blk.0.attn_v.weight": quant.Q5_K, "blk.5.attn_v.weight": quant.Q5_K,
				"blk.9.attn_v.weight": quant.Q4_K, "blk.0.ffn_down.weight": quant.Q5_K,
				"blk.1.ffn_down.weight": quant.Q5_K, "blk.9.ffn_down.weight": quant.Q4_K}},
		{"q3_k_l", llama8B, Q3_K_L, false,
			want{"blk.9.attn_v.weight": quant.Q5_K, "blk.9.attn_output.weight": quant.Q5_K,
				"blk.9.ffn_up.weight": quant.Q3_K}},
		{"q4_k_s", llama8B, Q4_K_S, false,
			want{"blk.0.attn_v.weight": quant.Q5_K, "blk.0.ffn_down.weight": quant.Q5_K,
				"blk.0.attn_q.weight": quant.Q4_K}},
		{"70B", model("llama", 80, 64, 8, 0), Q4_K_S, false,
			want{"blk.0.attn_v.weight": quant.Q5_K, "blk.1.attn_v.weight": quant.Q5_K,
				"blk.2.attn_v.weight": quant.Q5_K, "blk.3.attn_v.weight": quant.Q5_K,
				"blk.4.attn_v.weight": quant.Q5_K}},
		{"eight experts", model("llama", 32, 32, 8, 8), Q4_K_M, false,
			want{"blk.9.attn_v.weight": quant.Q8_0, "blk.9.attn_k.weight": quant.Q8_0,
				"blk.9.attn_output.weight": quant.Q5_K}},
		{"iq4_xs", llama8B, IQ4_XS, false,
			want{"blk.9.attn_v.weight": quant.Q5_K, "blk.0.ffn_down.weight": quant.Q5_K,
				"blk.9.ffn_gate.weight": quant.IQ4_XS}},
		{"iq4_xs with imatrix", llama8B, IQ4_XS, true, want{"blk.0.ffn_down.weight": quant.IQ4_XS}},
		{"q4_0 with imatrix", llama8B, Q4_0, true,
			want{"blk.0.ffn_down.weight": quant.Q4_1, "output.weight": quant.Q6_K}},
		{"iq2_m", llama8B, IQ2_M, true, want{"blk.0.attn_v.weight": quant.Q4_K, "blk.0.ffn_down.weight": quant.IQ3_S,
			"output.weight": quant.Q5_K, "token_embd.weight": quant.IQ3_S, "blk.9.attn_output.weight": quant.IQ3_S,
			"blk.9.ffn_up.weight": quant.IQ2_S}},
		{"iq3_xs", llama8B, IQ3_XS, true,
			want{"blk.9.ffn_gate.weight": quant.IQ3_S, "blk.9.attn_q.weight": quant.IQ3_XXS}},
		{"embeddings beside an output", llama8B, Q4_K_M, false,
			want{"per_layer_token_embd.weight": quant.Q4_K, "token_embd.weight": quant.Q4_K}},
		{"embeddings as output", llama8B, Q4_K_M, false,
			want{"per_layer_token_embd.weight": quant.Q6_K, "token_embd.weight": quant.Q6_K,
				"output.weight": tensor.Invalid}},
		{"f16", llama8B, F16, false, want{"output.weight": tensor.F16, "blk.0.attn_v.weight": tensor.F16}},
		{"kept", llama8B, Q8_0, false, want{"blk.0.ffn_gate_inp.weight": tensor.F16,
			"blk.0.ssm_conv1d.weight": tensor.F16, "blk.0.attn_q.bias": tensor.F16,
			"per_layer_model_proj.weight": tensor.F16}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var ts []gguf.TensorInfo
			for name, d := range c.want {
				if d != tensor.Invalid { // Invalid: the model has no such tensor
					ts = append(ts, wide(name))
				}
			}
			if _, ok := c.want["output.weight"]; !ok {
				ts = append(ts, wide("output.weight"))
			}
			ts = SortTensors(ts)
			types, err := Types(c.meta, ts, c.f, c.imatrix)
			if err != nil {
				t.Fatal(err)
			}
			for i, d := range types {
				if w, ok := c.want[ts[i].Name]; ok && d != w {
					t.Errorf("%s: %v, want %v", ts[i].Name, d, w)
				}
			}
		})
	}
}

// TestFallback checks rows that are no multiple of 256, or of 32.
func TestFallback(t *testing.T) {
	meta := &gguf.Meta{}
	if err := meta.Set("general.architecture", "llama"); err != nil {
		t.Fatal(err)
	}
	for f, want := range map[FType][2]tensor.DType{
		Q2_K: {quant.Q4_0, tensor.F16}, Q4_K_M: {quant.Q5_0, tensor.F16}, Q5_K_S: {quant.Q5_1, tensor.F16},
		Q6_K:   {quant.Q8_0, tensor.F16},
		IQ4_XS: {quant.IQ4_NL, tensor.F16}, Q8_0: {quant.Q8_0, tensor.F16}, TQ1_0: {quant.Q4_0, tensor.F16},
		BF16: {tensor.BF16, tensor.BF16},
	} {
		for i, cols := range []int{2880, 100} {
			ts := []gguf.TensorInfo{{Name: "output.weight", DType: tensor.F32, Shape: tensor.Shape{4, 256}},
				{Name: "blk.0.ssm_out.weight", DType: tensor.F32, Shape: tensor.Shape{4, cols}}}
			types, err := Types(meta, ts, f, false)
			if err != nil {
				t.Fatal(err)
			}
			if types[1] != want[i] {
				t.Errorf("%v: rows of %d get %v, want %v", f, cols, types[1], want[i])
			}
		}
	}
}

// TestExpertsInMXFP4 checks the mixture that treats stacks of experts apart.
func TestExpertsInMXFP4(t *testing.T) {
	meta := &gguf.Meta{}
	if err := meta.Set("general.architecture", "gpt-oss"); err != nil {
		t.Fatal(err)
	}
	stack, matrix := tensor.Shape{4, 64, 64}, tensor.Shape{64, 64}
	want := map[string]tensor.DType{"output.weight": quant.Q8_0, "token_embd.weight": quant.Q8_0,
		"blk.0.attn_q.weight": quant.Q8_0, "blk.0.ffn_up_exps.weight": quant.MXFP4,
		"blk.0.ffn_gate_inp.weight": tensor.F32}
	var ts []gguf.TensorInfo
	for name := range want {
		shape := matrix
		if strings.Contains(name, "_exps") {
			shape = stack
		}
		ts = append(ts, gguf.TensorInfo{Name: name, DType: tensor.F32, Shape: shape})
	}
	ts = SortTensors(ts)
	types, err := Types(meta, ts, MXFP4MoE, false)
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range types {
		if d != want[ts[i].Name] {
			t.Errorf("%s: %v, want %v", ts[i].Name, d, want[ts[i].Name])
		}
	}
}

func TestParseFType(t *testing.T) {
	for _, name := range FTypes() {
		if f, err := ParseFType(strings.ToUpper(name)); err != nil || f.String() != name {
			t.Errorf("%s: %v, %v", name, f, err)
		}
	}
	if f, err := ParseFType("q4_k"); err != nil || f != Q4_K_M {
		t.Errorf("q4_k: %v, %v", f, err)
	}
	if _, err := ParseFType("q9"); err == nil || !strings.Contains(err.Error(), "q4_k_m") {
		t.Errorf("q9: %v", err)
	}
}
