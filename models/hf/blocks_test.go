package hf

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// TestBlockTransforms moves rows, columns and elements of a matrix in blocks: the values must be those of the same
// moves in F32, and blocks stay where whole ones move.
func TestBlockTransforms(t *testing.T) {
	const rows, cols = 12, 128
	x := make([]float32, rows*cols)
	for i := range x {
		x[i] = sampleAt("blocks", i)
	}
	b := make([]byte, rows*cols/32*18)
	if err := quant.Quantize(quant.Q4_0, b, x, cols, nil); err != nil {
		t.Fatal(err)
	}
	m := &matrix{dtype: quant.Q4_0, rows: rows, cols: cols, read: func(dst []byte, lo, hi int) error {
		copy(dst, b[lo*cols/32*18:hi*cols/32*18])
		return nil
	}}
	swap := func(i int) int { return i ^ 1 }
	for _, c := range []struct {
		name   string
		change func(*matrix) *matrix
		dtype  tensor.DType
	}{
		{"rows", func(m *matrix) *matrix { return m.pick(rows, swap) }, quant.Q4_0},
		{"columns in blocks", func(m *matrix) *matrix { return m.pickColumns(64, swap) }, quant.Q4_0},
		{"columns", func(m *matrix) *matrix { return m.pickColumns(16, swap) }, tensor.F32},
		{"shorter rows", func(m *matrix) *matrix { return m.reshape(64) }, quant.Q4_0},
		{"elements", func(m *matrix) *matrix { return m.reshape(16) }, tensor.F32},
		{"transposed", func(m *matrix) *matrix { return m.transpose(4, &slabCache{}) }, tensor.F32},
	} {
		got, want := c.change(m), c.change(m.float(nil))
		if got.dtype != c.dtype || got.rows != want.rows || got.cols != want.cols {
			t.Errorf("%s: %v [%d %d], want %v [%d %d]", c.name, got.dtype, got.rows, got.cols, c.dtype, want.rows,
				want.cols)
			continue
		}
		a, e := make([]float32, rows*cols), make([]float32, rows*cols)
		if err := got.floats(a, 0, got.rows); err != nil {
			t.Fatal(err)
		}
		if err := want.floats(e, 0, want.rows); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(a, e) {
			t.Errorf("%s: values differ", c.name)
		}
	}
}

// TestQuantizedExperts stacks experts in AWQ: all of them in one type of blocks, and where one has scales or zero points
// that need another type, all in BF16.
func TestQuantizedExperts(t *testing.T) {
	const experts, ff = 3, 32
	config := `{"architectures":["Qwen3MoeForCausalLM"],"head_dim":16,"num_experts":3,"num_experts_per_tok":1,"moe_intermediate_size":32,` +
		`"norm_topk_prob":true,"decoder_sparse_step":1,"quantization_config":{"quant_method":"awq","bits":4,"group_size":32},` + quantizedSizes + `}`
	for _, c := range []struct {
		odd   int // the expert with other zero points, -1 for none
		dtype tensor.DType
	}{{-1, quant.Q4_0}, {1, tensor.BF16}} {
		rng := rand.New(rand.NewPCG(4, 5))
		m := map[string]stTensor{}
		for name, shape := range map[string][]int{"model.embed_tokens.weight": {vocab, 64}, "model.norm.weight": {64},
			"lm_head.weight": {vocab, 64}, layer0 + "input_layernorm.weight": {64},
			layer0 + "post_attention_layernorm.weight": {64}, layer0 + "self_attn.q_norm.weight": {16},
			layer0 + "self_attn.k_norm.weight": {16}, layer0 + "self_attn.q_proj.weight": {64, 64},
			layer0 + "self_attn.k_proj.weight": {32, 64}, layer0 + "self_attn.v_proj.weight": {32, 64},
			layer0 + "self_attn.o_proj.weight": {64, 64}, layer0 + "mlp.gate.weight": {experts, 64}} {
			m[name] = sampleTensor(t, name, shape...)
		}
		want := map[string][]float32{}
		for k := range experts {
			for _, p := range []string{"gate", "up", "down"} {
				rows, cols := ff, 64
				if p == "down" {
					rows, cols = 64, ff
				}
				zero := 8
				if k == c.odd {
					zero = 3
				}
				w := draw(rng, rows, cols, 32, 0, 15, func() int { return zero }, false)
				putAWQ(t, m, fmt.Sprintf("%smlp.experts.%d.%s_proj", layer0, k, p), w)
				for i := range rows * cols {
					want[p] = append(want[p], w.at(i/cols, i%cols))
				}
			}
		}
		f := openFolder(t, makeFolder(t, config, m))
		for p, x := range want {
			info, _ := f.Tensor("blk.0.ffn_" + p + "_exps.weight")
			if info.DType != c.dtype || info.Shape[0] != experts {
				t.Errorf("%s is %v %v, want %v", p, info.DType, info.Shape, c.dtype)
			}
			got := make([]float32, len(x))
			if err := f.ReadRows(info, got, 0); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, x) {
				t.Errorf("%s: values differ", p)
			}
		}
	}
}
