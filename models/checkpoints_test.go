package models_test

import (
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/internal/logits"
	"github.com/hipengine/hipengine/internal/safetensors"
	"github.com/hipengine/hipengine/internal/testfiles"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/models/convert"
	"github.com/hipengine/hipengine/models/hf"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// checkpoint is the weights of a folder, to be written in other element types.
type checkpoint map[string]safetensors.Tensor

func readCheckpoint(t *testing.T, dir string) checkpoint {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := safetensors.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// write makes a folder like dir with the weights c. config, which may be nil, has keys to add to config.json.
func (c checkpoint) write(t *testing.T, dir string, config map[string]any) string {
	t.Helper()
	out := t.TempDir()
	file, err := safetensors.Encode(c)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]any{}
	if err := json.Unmarshal(b, &keys); err != nil {
		t.Fatal(err)
	}
	for k, v := range config {
		keys[k] = v
	}
	if b, err = json.Marshal(keys); err != nil {
		t.Fatal(err)
	}
	err = errors.Join(os.WriteFile(filepath.Join(out, "model.safetensors"), file, 0o666),
		os.WriteFile(filepath.Join(out, "config.json"), b, 0o666))
	for _, name := range []string{"tokenizer.json", "tokenizer_config.json"} {
		b, err2 := os.ReadFile(filepath.Join(dir, name))
		err = errors.Join(err, err2, os.WriteFile(filepath.Join(out, name), b, 0o666))
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// openFolder opens a folder until the test is over.
func openFolder(t *testing.T, dir string) *hf.Folder {
	t.Helper()
	f, err := hf.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// folderLogits runs ids through a folder.
func folderLogits(t *testing.T, dir string, ids []int32) []float32 {
	t.Helper()
	f := openFolder(t, dir)
	return logitsOf(t, newModel(t, f.Meta), f, ids)
}

// convertFolder converts a folder, and opens the file until the test is over.
func convertFolder(t *testing.T, dir string, typ convert.FType) *gguf.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "model.gguf")
	if err := convert.Convert(t.Context(), dir, path, convert.Options{Type: typ}); err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

var machineTypes = map[string]tensor.DType{"F32": tensor.F32, "F16": tensor.F16, "BF16": tensor.BF16}

// floats returns the elements of a tensor of a machine type.
func (c checkpoint) floats(t *testing.T, name string) []float32 {
	t.Helper()
	x := make([]float32, tensor.Shape(c[name].Shape).Elems())
	if err := quant.Dequantize(machineTypes[c[name].DType], x, c[name].Data); err != nil {
		t.Fatal(err)
	}
	return x
}

// stored is a tensor of a machine type.
func stored(t *testing.T, dtype string, shape []int, x []float32) safetensors.Tensor {
	t.Helper()
	f, _ := machineTypes[dtype].Format()
	b := make([]byte, len(x)*f.Bytes)
	if err := quant.Quantize(f.DType, b, x, len(x), nil); err != nil {
		t.Fatal(err)
	}
	return safetensors.Tensor{DType: dtype, Shape: shape, Data: b}
}

// TestElementTypes writes fixtures in F32 and F16, which hold their BF16 weights (F16 all but the smallest), and
// compares with PyTorch.
func TestElementTypes(t *testing.T) {
	for _, name := range []string{"llama", "gemma4moe", "gptoss", "qwen35moe"} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && strings.HasSuffix(name, "moe") {
				t.Skip("SKIPPED: -short leaves most models to make long")
			}
			dir := testfiles.Model(t, name)
			ref, original := readReference(t, dir), readCheckpoint(t, dir)
			for _, dtype := range []string{"F32", "F16"} {
				t.Run(dtype, func(t *testing.T) {
					c := checkpoint{}
					for name, x := range original {
						c[name] = stored(t, dtype, x.Shape, original.floats(t, name))
					}
					f := openFolder(t, c.write(t, dir, nil))
					compareWithPyTorch(t, ref, f.Meta, f, f.Vocab.ExtraEOG, maxRMS)
				})
			}
		})
	}
}

// e4m3 returns the value of an 8-bit float with 4 bits of exponent, from its definition.
func e4m3(code byte) float32 {
	exp, man := int(code>>3&15), float64(code&7)/8
	x := math.Ldexp(1+man, exp-7)
	if exp == 0 {
		x = math.Ldexp(man, -6)
	}
	if code >= 128 {
		x = -x
	}
	return float32(x)
}

// toE4M3 returns the code that is nearest to x, which is at most 448. Magnitudes grow with their codes.
func toE4M3(x float32) byte {
	abs := float32(math.Abs(float64(x)))
	const last = 0x7E // the next is NaN
	code := byte(min(last, sort.Search(last, func(c int) bool { return e4m3(byte(c)) >= abs })))
	if code > 0 && abs-e4m3(code-1) < e4m3(code)-abs {
		code--
	}
	if x < 0 {
		code |= 0x80
	}
	return code
}

// inFP8 reports whether checkpoints in FP8 have a tensor in it: projections, but small ones.
func inFP8(name string, shape []int) bool {
	return len(shape) == 2 && strings.HasSuffix(name, "_proj.weight") || strings.Contains(name, "in_proj_qkv.") ||
		strings.Contains(name, "in_proj_z.")
}

// TestFP8 quantizes weights to blocks of FP8, and compares logits with those of the same values in F32. Weights are
// run in BF16, which holds them if scales are powers of two; others must be those of the rounded values. With nothing
// lost, in F32, they must be equal too.
func TestFP8(t *testing.T) {
	for _, c := range []struct {
		name, fixture, scaleType string
		scale                    func(x float32) float32 // of a block whose largest magnitude is x
		exact                    bool                    // BF16 holds the products
	}{
		{"powers of two", "qwen3", "F32",
			func(x float32) float32 { return float32(math.Exp2(math.Ceil(math.Log2(float64(x) / 448)))) }, true},
		{"any scale", "qwen35moe", "F32", func(x float32) float32 { return x / 448 }, false},
		{"scales in BF16", "llama", "BF16", func(x float32) float32 { return x / 448 }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if testing.Short() && c.fixture != "llama" {
				t.Skip("SKIPPED: -short leaves most models to make long")
			}
			const block = 128
			dir := testfiles.Model(t, c.fixture)
			original := readCheckpoint(t, dir)
			small, rounded, whole := checkpoint{}, checkpoint{}, checkpoint{}
			n := 0
			for name, s := range original {
				x := original.floats(t, name)
				small[name], rounded[name], whole[name] = s, s, stored(t, "F32", s.Shape, x)
				if !inFP8(name, s.Shape) {
					continue
				}
				n++
				rows, cols := s.Shape[0], s.Shape[1]
				across := (cols + block - 1) / block
				scales := make([]float32, (rows+block-1)/block*across)
				at := func(i int) int { return i/cols/block*across + i%cols/block }
				for i, v := range x {
					scales[at(i)] = max(scales[at(i)], float32(math.Abs(float64(v))))
				}
				for i := range scales {
					scales[i] = c.scale(scales[i])
				}
				shape := []int{len(scales) / across, across}
				small[name+"_scale_inv"] = stored(t, c.scaleType, shape, scales)
				scales = small.floats(t, name+"_scale_inv") // as rounded
				b := make([]byte, len(x))
				for i, v := range x {
					b[i] = toE4M3(v / scales[at(i)])
					x[i] = e4m3(b[i]) * scales[at(i)]
				}
				small[name] = safetensors.Tensor{DType: "F8_E4M3", Shape: s.Shape, Data: b}
				rounded[name], whole[name] = stored(t, "BF16", s.Shape, x), stored(t, "F32", s.Shape, x)
			}
			if n < 10 {
				t.Fatalf("%d tensors are FP8", n)
			}
			config := map[string]any{"quantization_config": map[string]any{"quant_method": "fp8", "fmt": "e4m3",
				"weight_block_size": []int{block, block}}}
			ids := readReference(t, dir).ids(t, "ids_48")
			f := openFolder(t, small.write(t, dir, config))
			got, exact := logitsOf(t, newModel(t, f.Meta), f, ids), folderLogits(t, whole.write(t, dir, nil), ids)
			rms := logits.RelativeRMS(exact, got)
			t.Logf("%d tensors in FP8: relative RMS of logits to F32 %.2g", n, rms)
			if c.exact && !slices.Equal(got, exact) {
				t.Errorf("logits differ from those of F32 by a relative RMS of %g", rms)
			}
			if want := folderLogits(t, rounded.write(t, dir, nil), ids); !slices.Equal(got, want) {
				t.Errorf("logits differ from those of the products in BF16 by a relative RMS of %g",
					logits.RelativeRMS(want, got))
			}
			q, err := convert.NewQuantized(f, convert.Options{Type: convert.F32})
			if err != nil {
				t.Fatal(err)
			}
			if got := logitsOf(t, newModel(t, f.Meta), q, ids); !slices.Equal(got, exact) {
				t.Errorf("loaded in F32: logits differ from those of F32 by a relative RMS of %g",
					logits.RelativeRMS(exact, got))
			}
		})
	}
}

// e2m1 are the values of the codes of MXFP4 (OCP Microscaling Formats, table 5).
var e2m1 = [16]float32{0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5, -1, -1.5, -2, -3, -4, -6}

// TestMXFP4 writes the experts of gpt-oss as blocks of MXFP4, as its checkpoints have them, and compares logits with
// those of the same values in F32 and in the transposed form that checkpoints without blocks have.
func TestMXFP4(t *testing.T) {
	dir := testfiles.Model(t, "gptoss")
	original := readCheckpoint(t, dir)
	ids := readReference(t, dir).ids(t, "ids_48")
	small, whole := checkpoint{}, checkpoint{}
	rng := rand.New(rand.NewPCG(5, 6))
	n := 0
	for name, s := range original {
		if !strings.Contains(name, ".experts.") || strings.HasSuffix(name, "_bias") {
			small[name], whole[name] = s, stored(t, "F32", s.Shape, original.floats(t, name))
			continue
		}
		n++
		experts, in, out := s.Shape[0], s.Shape[1], s.Shape[2]
		x := make([]float32, experts*in*out)
		blocks, scales := make([]byte, len(x)/2), make([]byte, len(x)/32)
		for i := range scales {
			scales[i] = byte(120 + rng.IntN(4)) // 2^-7 to 2^-4
		}
		for e := range experts {
			for o := range out {
				for i := range in {
					at := (e*out+o)*in + i
					code := byte(rng.IntN(16))
					blocks[at/2] |= code << (at % 2 * 4)
					x[(e*in+i)*out+o] = e2m1[code] * float32(math.Exp2(float64(scales[at/32])-127))
				}
			}
		}
		small[name+"_blocks"] = safetensors.Tensor{DType: "U8", Shape: []int{experts, out, in / 32, 16}, Data: blocks}
		small[name+"_scales"] = safetensors.Tensor{DType: "U8", Shape: []int{experts, out, in / 32}, Data: scales}
		whole[name] = stored(t, "F32", s.Shape, x)
	}
	if n != 8 {
		t.Fatalf("%d stacks of experts", n)
	}
	path := small.write(t, dir, map[string]any{"quantization_config": map[string]any{"quant_method": "mxfp4"}})
	f := openFolder(t, path)
	for _, name := range []string{"ffn_gate_exps", "ffn_up_exps", "ffn_down_exps"} {
		if info, _ := f.Tensor("blk.0." + name + ".weight"); info.DType != quant.MXFP4 {
			t.Errorf("%s is %v", name, info.DType)
		}
	}
	want := folderLogits(t, whole.write(t, dir, nil), ids)
	g := convertFolder(t, path, convert.BF16) // experts keep their blocks
	for name, got := range map[string][]float32{"folder": logitsOf(t, newModel(t, f.Meta), f, ids),
		"file": logitsOf(t, newModel(t, g.Meta), g, ids)} {
		if !slices.Equal(got, want) {
			t.Errorf("%s: logits differ from those of F32 by a relative RMS of %g", name,
				logits.RelativeRMS(want, got))
		}
	}
}

// TestDraftLayers adds a layer for speculation to fixtures. It must reach the file that convert makes, and change
// nothing of what the model computes.
func TestDraftLayers(t *testing.T) {
	for _, name := range []string{"qwen35", "qwen35moe", "qwen3next"} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && name != "qwen35" {
				t.Skip("SKIPPED: -short leaves mixtures to make long")
			}
			dir := testfiles.Model(t, name)
			c := readCheckpoint(t, dir)
			ids := readReference(t, dir).ids(t, "ids_48")
			want := folderLogits(t, dir, ids)
			const attention = "model.layers.3." // the last layer, of the kind that draft layers are
			embd := c["model.norm.weight"].Shape[0]
			for from, x := range c {
				if rest, ok := strings.CutPrefix(from, attention); ok {
					c["mtp.layers.0."+rest] = x
				}
			}
			for _, norm := range []string{"norm", "pre_fc_norm_embedding", "pre_fc_norm_hidden"} {
				c["mtp."+norm+".weight"] = c["model.norm.weight"]
			}
			c["mtp.fc.weight"] = stored(t, "BF16", []int{embd, 2 * embd}, make([]float32, 2*embd*embd))
			path := c.write(t, dir, map[string]any{"mtp_num_hidden_layers": 1, "mtp_use_dedicated_embeddings": false})

			g := convertFolder(t, path, convert.BF16)
			for key, n := range map[string]int64{name + ".block_count": 5, name + ".nextn_predict_layers": 1} {
				if got, err := g.Meta.Int(key); err != nil || got != n {
					t.Errorf("key %s is %d (%v), want %d", key, got, err, n)
				}
			}
			for _, n := range []string{"attn_q.weight", "attn_k.weight", "attn_v.weight", "attn_output.weight",
				"attn_q_norm.weight", "attn_k_norm.weight", "attn_norm.weight", "post_attention_norm.weight"} {
				a, b := tensorBytes(t, g, "blk.3."+n), tensorBytes(t, g, "blk.4."+n)
				if !slices.Equal(a, b) {
					t.Errorf("%s of the draft layer is not the one that was stored", n)
				}
			}
			for _, n := range []string{"nextn.enorm.weight", "nextn.hnorm.weight", "nextn.shared_head_norm.weight"} {
				if !slices.Equal(tensorBytes(t, g, "output_norm.weight"), tensorBytes(t, g, "blk.4."+n)) {
					t.Errorf("%s is not the one that was stored", n)
				}
			}
			if info, ok := g.Tensor("blk.4.nextn.eh_proj.weight"); !ok ||
				!info.Shape.Equal(tensor.Shape{embd, 2 * embd}) {
				t.Errorf("nextn.eh_proj.weight: %v (%t)", info.Shape, ok)
			}
			if d, err := models.WithDrafts(newModel(t, g.Meta)); err != nil || models.Check(d, g) != nil {
				t.Errorf("the draft layer cannot be used: %v", errors.Join(err, models.Check(d, g)))
			}
			for form, got := range map[string][]float32{"folder": folderLogits(t, path, ids),
				"file": logitsOf(t, newModel(t, g.Meta), g, ids)} {
				if !slices.Equal(got, want) {
					t.Errorf("%s: logits differ from those without the draft layer", form)
				}
			}
		})
	}
}

func tensorBytes(t *testing.T, f *gguf.File, name string) []byte {
	t.Helper()
	info, ok := f.Tensor(name)
	if !ok {
		t.Fatalf("the file has no tensor %q", name)
	}
	b := make([]byte, info.Size)
	if err := f.ReadTensor(info, b, 0); err != nil {
		t.Fatal(err)
	}
	return b
}
