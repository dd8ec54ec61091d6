package eval_test

import (
	"math"
	"path/filepath"
	"testing"

	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/models/convert"
	"github.com/hipengine/hipengine/models/eval"
	"github.com/hipengine/hipengine/models/synth"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// floats reads a tensor of a file as F32.
func floats(t *testing.T, f *gguf.File, name string) []float32 {
	t.Helper()
	info, ok := f.Tensor(name)
	if !ok {
		t.Fatalf("no tensor %q", name)
	}
	raw, x := make([]byte, info.Size), make([]float32, info.Shape.Elems())
	if err := f.ReadTensor(info, raw, 0); err != nil {
		t.Fatal(err)
	}
	if err := quant.Dequantize(info.DType, x, raw); err != nil {
		t.Fatal(err)
	}
	return x
}

// TestCollector computes what meets the first layer's projection from the file: the normalised embeddings.
func TestCollector(t *testing.T) {
	f := emberFile(t)
	chunks, err := eval.Chunks(tokens(t, f), 16, -1)
	if err != nil {
		t.Fatal(err)
	}
	m, err := models.New(f.Meta)
	if err != nil {
		t.Fatal(err)
	}
	c := eval.NewCollector(cpu())
	im, err := c.Imatrix(t.Context(), open(t, f, c, 7), chunks, eval.FileNames(m, f), nil)
	if err != nil {
		t.Fatal(err)
	}
	embd, norm := floats(t, f, "token_embd.weight"), floats(t, f, "blk.0.attn_norm.weight")
	eps, err := f.Meta.Float(m.Params().Arch + ".attention.layer_norm_rms_epsilon")
	if err != nil {
		t.Fatal(err)
	}
	n := m.Params().Embd
	want := make([]float64, n)
	for _, chunk := range chunks {
		for _, id := range chunk {
			row := embd[int(id)*n:][:n]
			var squares float64
			for _, v := range row {
				squares += float64(v) * float64(v)
			}
			for i, v := range row {
				y := float64(v) * float64(norm[i])
				want[i] += y * y / (squares/float64(n) + eps)
			}
		}
	}
	e := im.Entries["blk.0.attn_qkv.weight"]
	if len(e.Sums) != n || len(e.Counts) != 1 || e.Counts[0] != float32(16*len(chunks)) {
		t.Fatalf("%d sums, counts %v, want %d sums of %d tokens", len(e.Sums), e.Counts, n, 16*len(chunks))
	}
	for i, s := range e.Sums {
		// Each square carries the rounding of a float32 norm: a few parts in 1e7.
		if !(math.Abs(float64(s)-want[i]) <= 1e-5*want[i]) {
			t.Errorf("column %d: %v, want %v", i, s, want[i])
		}
	}
}

// TestCollectorExperts: each token meets its experts, and the matrices of one expert meet the same tokens.
func TestCollectorExperts(t *testing.T) {
	const used, experts = 2, 4
	path := filepath.Join(t.TempDir(), "moe.gguf")
	err := synth.Write(t.Context(),
		synth.Shape{Name: "moe", Arch: "qwen3moe", Pre: "qwen2", Vocab: 300, Keys: []synth.Key{
			{Name: "block_count", Value: uint32(2)}, {Name: "context_length", Value: uint32(64)},
			{Name: "embedding_length", Value: uint32(64)},
			{Name: "feed_forward_length", Value: uint32(64)}, {Name: "attention.head_count", Value: uint32(2)},
			{Name: "attention.head_count_kv", Value: uint32(1)}, {Name: "attention.key_length", Value: uint32(32)},
			{Name: "attention.value_length", Value: uint32(32)},
			{Name: "rope.freq_base", Value: float32(1e4)},
			{Name: "attention.layer_norm_rms_epsilon", Value: float32(1e-6)},
			{Name: "expert_count", Value: uint32(experts)}, {Name: "expert_used_count", Value: uint32(used)},
			{Name: "expert_feed_forward_length", Value: uint32(32)},
		}}, path, synth.Options{Type: convert.F16})
	if err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	chunks, err := eval.Chunks(tokens(t, f), 16, -1)
	if err != nil {
		t.Fatal(err)
	}
	c := eval.NewCollector(cpu())
	im, err := c.Imatrix(t.Context(), open(t, f, c, 512), chunks, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	total := func(x []float32) (s float64) {
		for _, v := range x {
			s += float64(v)
		}
		return s
	}
	gate, up, down := im.Entries["blk.1.ffn_gate_exps.weight"], im.Entries["blk.1.ffn_up_exps.weight"],
		im.Entries["blk.1.ffn_down_exps.weight"]
	router := im.Entries["blk.1.ffn_gate_inp.weight"]
	if len(gate.Counts) != experts || total(gate.Counts) != float64(used*16*len(chunks)) ||
		len(down.Sums) != experts*32 {
		t.Errorf("counts %v, %d sums of ffn_down", gate.Counts, len(down.Sums))
	}
	for i := range gate.Sums {
		if gate.Sums[i] != up.Sums[i] {
			t.Fatalf("gate and up met different activations at %d: %v and %v", i, gate.Sums[i], up.Sums[i])
		}
	}
	// A token's squares count once at the router and once for each of its experts.
	if a, b := total(gate.Sums), used*total(router.Sums); !(math.Abs(a-b) <= 1e-4*b) {
		t.Errorf("squares of experts %v, of the router %v times %d", a, total(router.Sums), used)
	}
	out := filepath.Join(t.TempDir(), "imatrix.gguf")
	if err := im.Write(out); err != nil {
		t.Fatal(err)
	}
	if err := convert.Quantize(t.Context(), path, filepath.Join(t.TempDir(), "q.gguf"),
		convert.Options{Type: convert.IQ4_NL, Imatrix: im}); err != nil {
		t.Errorf("quantizing with it: %v", err)
	}
	if info, _ := f.Tensor("blk.1.ffn_gate_exps.weight"); !info.Shape.Equal(tensor.Shape{experts, 32, 64}) {
		t.Errorf("experts of shape %v", info.Shape)
	}
}
