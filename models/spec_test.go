package models_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/internal/tiny"
	"github.com/hipengine/hipengine/models"
	_ "github.com/hipengine/hipengine/models/arch/all"
	opsref "github.com/hipengine/hipengine/ops_ref"
	"github.com/hipengine/hipengine/tensor"
)

func newModel(t *testing.T, meta *gguf.Meta) models.Model {
	t.Helper()
	m, err := models.New(meta)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// promptLogits runs a prompt through m with the weights of src.
func promptLogits(t *testing.T, m models.Model, src models.Source) []float32 {
	t.Helper()
	return logitsOf(t, m, src, []int32{3, 1, 4, 1, 5, 92, 65, 35})
}

// logitsOf is promptLogits of the given prompt.
func logitsOf(t *testing.T, m models.Model, src models.Source, ids []int32) []float32 {
	t.Helper()
	dev := opsref.New(opsref.Options{Threads: 1})
	defer dev.Close()
	w, err := models.LoadWeights(t.Context(), m, src, dev, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := runner.New(dev, m, w, runner.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	id, err := r.Open()
	if err != nil {
		t.Fatal(err)
	}
	step := r.Step
	if m.Params().Encoder {
		step = r.StepHidden
	}
	rows, err := step(t.Context(), []runner.Work{{Seq: id, Tokens: ids, Rows: len(ids)}})
	if err != nil {
		t.Fatal(err)
	}
	return slices.Clone(rows[0])
}

// fuse replaces the named tensors by one that holds them after each other along axis, as some files store them. It
// reports whether they were there.
func fuse(s *tiny.Source, into string, axis int, names ...string) bool {
	return fuseGroups(s, into, axis, 1, names...)
}

// fuseGroups is fuse with each tensor cut in groups along axis: first come the first groups of all.
func fuseGroups(s *tiny.Source, into string, axis, groups int, names ...string) bool {
	for _, name := range names {
		if _, ok := s.Tensor(name); !ok {
			return false
		}
	}
	var infos []gguf.TensorInfo
	var data [][]byte
	for _, name := range names {
		info, b := s.Remove(name)
		infos, data = append(infos, info), append(data, b)
	}
	shape := slices.Clone(infos[0].Shape)
	outer := shape[:axis].Elems() * groups
	shape[axis] = 0
	var fused []byte
	for i := range outer {
		for _, b := range data {
			n := len(b) / outer
			fused = append(fused, b[i*n:(i+1)*n]...)
		}
	}
	for _, info := range infos {
		shape[axis] += info.Shape[axis]
	}
	s.PutBytes(into, infos[0].DType, shape, fused)
	return true
}

// split replaces a matrix by several of the given numbers of rows.
func split(s *tiny.Source, name string, into map[string][2]int) {
	info, b := s.Remove(name)
	row := len(b) / info.Shape[0]
	for part, r := range into {
		s.PutBytes(part, info.DType, tensor.Shape{r[1] - r[0], info.Shape[1]}, b[r[0]*row:r[1]*row])
	}
}

// move gives a tensor another name. It reports whether it was there.
func move(s *tiny.Source, from, to string) bool {
	if _, ok := s.Tensor(from); !ok {
		return false
	}
	info, b := s.Remove(from)
	s.PutBytes(to, info.DType, info.Shape, b)
	return true
}

// unstack replaces a tensor by one for each element of its outermost dimension.
func unstack(s *tiny.Source, name, format string) bool {
	if _, ok := s.Tensor(name); !ok {
		return false
	}
	info, b := s.Remove(name)
	n := len(b) / info.Shape[0]
	for i := range info.Shape[0] {
		s.PutBytes(fmt.Sprintf(format, i), info.DType, info.Shape[1:], b[i*n:(i+1)*n])
	}
	return true
}

// TestForms checks that the forms in which files store fused, split and per-expert tensors give the same logits, bit
// for bit.
func TestForms(t *testing.T) {
	type form struct {
		name  string
		archs []string
		apply func(s *tiny.Source, prefix string) bool
	}
	grouped := slices.DeleteFunc(slices.Clone(tiny.Archs), func(a string) bool {
		return strings.HasPrefix(a, "deepseek2") || a == "kimi-linear" || a == "mamba2"
	})
	sparse := []string{"llama/moe", "qwen2moe", "qwen3moe", "qwen35moe", "gpt-oss", "gemma4/moe", "granitemoe"}
	for _, f := range []form{
		{"attn_qkv", grouped, func(s *tiny.Source, p string) bool {
			return fuse(s, p+"attn_qkv.weight", 0, p+"attn_q.weight", p+"attn_k.weight", p+"attn_v.weight") &&
				fuse(s, p+"attn_qkv.bias", 0, p+"attn_q.bias", p+"attn_k.bias", p+"attn_v.bias")
		}},
		{"ffn_up", []string{"llama", "qwen2", "qwen3", "qwen35", "phi3", "glm4"}, func(s *tiny.Source, p string) bool {
			return fuse(s, p+"ffn_up.weight", 0, p+"ffn_gate.weight", p+"ffn_up.weight") &&
				fuse(s, p+"ffn_up.bias", 0, p+"ffn_gate.bias", p+"ffn_up.bias")
		}},
		{"ffn_gate_up_exps", sparse, func(s *tiny.Source, p string) bool {
			return fuse(s, p+"ffn_gate_up_exps.weight", 1, p+"ffn_gate_exps.weight", p+"ffn_up_exps.weight") &&
				fuse(s, p+"ffn_gate_up_exps.bias", 1, p+"ffn_gate_exps.bias", p+"ffn_up_exps.bias")
		}},
		{"per expert", sparse, func(s *tiny.Source, p string) bool {
			return unstack(s, p+"ffn_gate_exps.weight", p+"ffn_gate.%d.weight") &&
				unstack(s, p+"ffn_up_exps.weight", p+"ffn_up.%d.weight") &&
				unstack(s, p+"ffn_down_exps.weight", p+"ffn_down.%d.weight")
		}},
		{"no leading ones", []string{"qwen35moe"}, func(s *tiny.Source, p string) bool {
			info, b := s.Remove(p + "ffn_gate_inp_shexp.weight")
			s.PutBytes(info.Name, info.DType, info.Shape[1:], b)
			return true
		}},
		{"ssm_dt", []string{"qwen35"},
			func(s *tiny.Source, p string) bool { return move(s, p+"ssm_dt.bias", p+"ssm_dt") }},
		{"ssm_ba", []string{"qwen3next"}, func(s *tiny.Source, p string) bool {
			return fuseGroups(s, p+"ssm_ba.weight", 0, 2, p+"ssm_beta.weight", p+"ssm_alpha.weight")
		}},
		{"ssm_in", []string{"qwen3next"}, func(s *tiny.Source, p string) bool {
			if _, ok := s.Tensor(p + "attn_gate.weight"); !ok {
				return false
			}
			split(s, p+"attn_qkv.weight", map[string][2]int{"q": {0, 32}, "k": {32, 64}, "v": {64, 160}})
			return fuseGroups(s, p+"ssm_in.weight", 0, 2, "q", "k", "v", p+"attn_gate.weight")
		}},
		{"gate and up in turn", []string{"gptoss"}, func(s *tiny.Source, p string) bool {
			return fuseGroups(s, p+"ffn_gate_up_exps.weight", 1, 32, p+"ffn_gate_exps.weight",
				p+"ffn_up_exps.weight") &&
				fuseGroups(s, p+"ffn_gate_up_exps.bias", 1, 32, p+"ffn_gate_exps.bias", p+"ffn_up_exps.bias")
		}},
		{"attn_out", []string{"gptoss"}, func(s *tiny.Source, p string) bool {
			return move(s, p+"attn_output.weight", p+"attn_out.weight") &&
				move(s, p+"attn_output.bias", p+"attn_out.bias") &&
				move(s, p+"attn_sinks.weight", p+"attn_sinks")
		}},
		{"per_expert_scale", []string{"gemma4/moe"}, func(s *tiny.Source, p string) bool {
			return move(s, p+"ffn_down_exps.scale", p+"ffn_gate_inp.per_expert_scale")
		}},
	} {
		for i, arch := range f.archs {
			for j, typ := range []string{"F32", "Q4_0"} {
				t.Run(f.name+"/"+arch+"/"+typ, func(t *testing.T) {
					if testing.Short() && i%2 != j && len(f.archs) > 1 {
						t.Skip("SKIPPED: -short leaves one of two types to make long")
					}
					dt, ok := tensor.ParseDType(typ)
					if !ok {
						t.Fatalf("type %s is not registered", typ)
					}
					m := newModel(t, tiny.Meta(arch))
					src := tiny.Weights(m, dt, 1)
					if strings.HasPrefix(f.name, "ssm_") { // the fused forms have no biases
						for i := range m.Params().Layers {
							for _, name := range []string{"attn_qkv", "attn_gate", "ssm_beta", "ssm_alpha"} {
								src.Remove(fmt.Sprintf("blk.%d.%s.bias", i, name))
							}
						}
					}
					want := promptLogits(t, m, src)
					n := 0
					for i := range m.Params().Layers {
						if f.apply(src, fmt.Sprintf("blk.%d.", i)) {
							n++
						}
					}
					if n == 0 {
						t.Fatal("no layer has the tensors")
					}
					if !slices.Equal(promptLogits(t, m, src), want) {
						t.Error("logits differ")
					}
				})
			}
		}
	}
}

// TestVectorTypes checks that small tensors are converted to what kernels read.
func TestVectorTypes(t *testing.T) {
	m := newModel(t, tiny.Meta("qwen35"))
	src := tiny.Weights(m, tensor.F32, 1)
	wide := tiny.Weights(m, tensor.F32, 1)
	f32, _ := tensor.F32.Format()
	bf16, _ := tensor.BF16.Format()
	for _, spec := range m.Weights() {
		if !spec.Vector || spec.Derive != nil {
			continue
		}
		x := make([]float32, spec.Shape.Elems())
		f32.Dequant(x, src.Data[spec.Name])
		src.Put(spec.Name, tensor.BF16, spec.Shape, x)
		bf16.Dequant(x, src.Data[spec.Name])
		wide.Put(spec.Name, tensor.F32, spec.Shape, x)
	}
	if !slices.Equal(promptLogits(t, m, src), promptLogits(t, m, wide)) {
		t.Error("logits of BF16 vectors differ from those of the same values in F32")
	}
}

// TestRoPEFactors checks that rope_freqs.weight reaches the graph: factors of one change nothing, others do.
func TestRoPEFactors(t *testing.T) {
	m := newModel(t, tiny.Meta("llama"))
	src := tiny.Weights(m, tensor.F32, 1)
	put := func(x float32) {
		src.Put("rope_freqs.weight", tensor.F32, tensor.Shape{8}, []float32{x, x, x, x, x, x, x, x})
	}
	put(1)
	ones := promptLogits(t, m, src)
	put(8)
	eights := promptLogits(t, m, src)
	src.Remove("rope_freqs.weight")
	if !slices.Equal(ones, promptLogits(t, m, src)) {
		t.Error("factors of one change the logits")
	}
	if slices.Equal(ones, eights) {
		t.Error("factors of eight do not change the logits")
	}
	put(0)
	dev := opsref.New(opsref.Options{Threads: 1})
	defer dev.Close()
	if _, err := models.LoadWeights(t.Context(), m, src, dev, nil); err == nil ||
		!strings.Contains(err.Error(), "rope_freqs.weight") {
		t.Errorf("factors of zero: error %v does not name the tensor", err)
	}
}

func TestCheck(t *testing.T) {
	i32 := func(s *tiny.Source, name string) {
		info := s.Infos[name]
		info.DType = tensor.I32
		s.Infos[name] = info
	}
	reshape := func(s *tiny.Source, name string, shape ...int) {
		info := s.Infos[name]
		info.Shape = shape
		s.Infos[name] = info
	}
	for _, c := range []struct {
		name, arch string
		spoil      func(s *tiny.Source)
		want       []string
	}{
		{"missing", "llama", func(s *tiny.Source) { s.Remove("blk.1.ffn_down.weight") },
			[]string{`"blk.1.ffn_down.weight"`, "missing"}},
		{"missing fused too", "llama", func(s *tiny.Source) { s.Remove("blk.0.attn_k.weight") },
			[]string{`"blk.0.attn_k.weight" or "blk.0.attn_qkv.weight"`, "missing"}},
		{"missing bias", "qwen2", func(s *tiny.Source) { s.Remove("blk.0.attn_v.bias") },
			[]string{`"blk.0.attn_v.bias"`, "missing"}},
		{"missing norm", "qwen3", func(s *tiny.Source) { s.Remove("blk.1.attn_q_norm.weight") },
			[]string{`"blk.1.attn_q_norm.weight"`}},
		{"shape", "qwen3", func(s *tiny.Source) { reshape(s, "blk.1.attn_q.weight", 64, 128) },
			[]string{`"blk.1.attn_q.weight"`, "[64 128]", "[128 64]"}},
		{"rank", "llama", func(s *tiny.Source) { reshape(s, "token_embd.weight", 96*64) },
			[]string{`"token_embd.weight"`, "[6144]"}},
		{"optional with a wrong shape", "llama", func(s *tiny.Source) { reshape(s, "output.weight", 64, 96) },
			[]string{`"output.weight"`, "[64 96]"}},
		{"factors", "llama", func(s *tiny.Source) { reshape(s, "rope_freqs.weight", 64) },
			[]string{`"rope_freqs.weight"`, "[64]", "[8]"}},
		{"type", "llama", func(s *tiny.Source) { i32(s, "blk.0.ffn_up.weight") },
			[]string{`"blk.0.ffn_up.weight"`, "I32"}},
		{"experts", "qwen3moe", func(s *tiny.Source) { reshape(s, "blk.0.ffn_up_exps.weight", 4, 32, 64) },
			[]string{`"blk.0.ffn_up_exps.weight"`, "[4 32 64]", "[5 32 64]"}},
		{"fused shape", "llama", func(s *tiny.Source) {
			fuse(s, "blk.0.attn_qkv.weight", 0, "blk.0.attn_q.weight", "blk.0.attn_k.weight")
			s.Remove("blk.0.attn_v.weight")
		}, []string{`"blk.0.attn_qkv.weight"`, "[96 64]", "[128 64]"}},
		{"one expert missing", "llama/moe", func(s *tiny.Source) {
			unstack(s, "blk.0.ffn_up_exps.weight", "blk.0.ffn_up.%d.weight")
			s.Remove("blk.0.ffn_up.3.weight")
		}, []string{`"blk.0.ffn_up.3.weight" is missing`, `"blk.0.ffn_up.0.weight"`}},
		{"experts of two types", "llama/moe", func(s *tiny.Source) {
			unstack(s, "blk.0.ffn_up_exps.weight", "blk.0.ffn_up.%d.weight")
			s.Put("blk.0.ffn_up.2.weight", tensor.F16, tensor.Shape{96, 64}, make([]float32, 96*64))
		}, []string{`"blk.0.ffn_up.2.weight"`, "F16", "F32"}},
		{"one expert's shape", "llama/moe", func(s *tiny.Source) {
			unstack(s, "blk.0.ffn_up_exps.weight", "blk.0.ffn_up.%d.weight")
			reshape(s, "blk.0.ffn_up.4.weight", 64, 96)
		}, []string{`"blk.0.ffn_up.4.weight"`, "[64 96]"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newModel(t, tiny.Meta(c.arch))
			src := tiny.Weights(m, tensor.F32, 1)
			if err := models.Check(m, src); err != nil {
				t.Fatalf("before: %v", err)
			}
			c.spoil(src)
			err := models.Check(m, src)
			for _, want := range c.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("error %v, want it to say %q", err, want)
				}
			}
			dev := opsref.New(opsref.Options{Threads: 1})
			defer dev.Close()
			if _, lerr := models.LoadWeights(t.Context(), m, src, dev, nil); err != nil &&
				(lerr == nil || lerr.Error() != err.Error()) {
				t.Errorf("LoadWeights says %v, Check %v", lerr, err)
			}
		})
	}
}
