package models_test

import (
	"fmt"
	"hash/fnv"
	"math"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/internal/tiny"
	"github.com/hipengine/hipengine/models"
	opsref "github.com/hipengine/hipengine/ops_ref"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// held is a source in memory.
type held map[string]heldTensor

type heldTensor struct {
	info gguf.TensorInfo
	data []byte
}

func (h held) Tensor(name string) (gguf.TensorInfo, bool) {
	t, ok := h[name]
	return t.info, ok
}

func (h held) ReadTensor(t gguf.TensorInfo, p []byte, off int64) error {
	copy(p, h[t.Name].data[off:])
	return nil
}

func (h held) put(t *testing.T, name string, d tensor.DType, x []float32, shape ...int) {
	t.Helper()
	size, err := tensor.Bytes(d, shape)
	if err != nil {
		t.Fatal(err)
	}
	data := make([]byte, size)
	if err := quant.Quantize(d, data, x, shape[len(shape)-1], nil); err != nil {
		t.Fatal(err)
	}
	h[name] = heldTensor{gguf.TensorInfo{Name: name, DType: d, Shape: shape, Size: size}, data}
}

// factors copies the weights of m from src: with matrices in NVFP4 that have a factor beside them, and with the products
// of both in F32. It returns how many those are.
func factors(t *testing.T, m models.Model, src models.Source) (with, product held, n int) {
	t.Helper()
	with, product = held{}, held{}
	for _, spec := range m.Weights() {
		info, ok := src.Tensor(spec.Name)
		if !ok {
			continue
		}
		x, raw := make([]float32, info.Shape.Elems()), make([]byte, info.Size)
		if err := src.ReadTensor(info, raw, 0); err != nil {
			t.Fatal(err)
		}
		if err := quant.Dequantize(info.DType, x, raw); err != nil {
			t.Fatal(err)
		}
		name, ok := strings.CutSuffix(spec.Name, ".weight")
		linear := strings.Contains(name, "attn_") || strings.Contains(name, "ffn_") || name == "output"
		if !ok || !linear || spec.Vector || len(info.Shape) < 2 || info.Shape.Last()%64 != 0 {
			with.put(t, spec.Name, info.DType, x, info.Shape...)
			product.put(t, spec.Name, info.DType, x, info.Shape...)
			continue
		}
		n++
		with.put(t, spec.Name, quant.NVFP4, x, info.Shape...)
		if err := quant.Dequantize(quant.NVFP4, x, with[spec.Name].data); err != nil {
			t.Fatal(err)
		}
		scales := make([]float32, 1)
		if len(info.Shape) == 3 {
			scales = make([]float32, info.Shape[0])
		}
		h := fnv.New32a()
		h.Write([]byte(name))
		for i := range scales {
			scales[i] = 0.5 + float32((h.Sum32()+uint32(i)*37)%97)/97
		}
		with.put(t, name+".scale", tensor.F32, scales, len(scales))
		for i := range x {
			x[i] *= scales[i*len(scales)/len(x)]
		}
		product.put(t, spec.Name, tensor.F32, x, info.Shape...)
	}
	return with, product, n
}

// factorMeta is a tiny model whose rows are whole blocks of NVFP4.
func factorMeta(t *testing.T, arch string) *gguf.Meta {
	t.Helper()
	meta := tiny.Meta(arch)
	for _, key := range []string{"feed_forward_length", "expert_feed_forward_length", "expert_shared_feed_forward_length"} {
		if key = arch + "." + key; meta.Has(key) {
			if err := meta.Set(key, uint32(128)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return meta
}

// TestFactors compares models whose NVFP4 matrices have factors beside them with the same weights in F32: dense ones,
// mixtures with and without a shared expert or biases, and one over two ranks.
func TestFactors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		arch  string
		ranks int
		least int // matrices with factors
	}{{"llama", 1, 10}, {"llama", 2, 10}, {"qwen35moe", 1, 10}, {"gpt-oss", 1, 6}, {"qwen3moe", 1, 6}} {
		t.Run(fmt.Sprintf("%s over %d", c.arch, c.ranks), func(t *testing.T) {
			t.Parallel()
			meta := factorMeta(t, c.arch)
			if c.ranks > 1 {
				if err := meta.Set(c.arch+".embedding_length", uint32(128)); err != nil {
					t.Fatal(err)
				}
			}
			m := newModel(t, meta)
			with, product, n := factors(t, m, tiny.Weights(m, tensor.F32, 5))
			if n < c.least {
				t.Errorf("%d matrices have factors", n)
			}
			want := promptLogits(t, m, product)
			if c.ranks > 1 {
				var err error
				if m, err = models.SplitModel(m, c.ranks, with); err != nil {
					t.Fatal(err)
				}
			}
			got := promptLogits(t, m, with)
			var diff, size float64
			for i, x := range want {
				d := float64(got[i]) - float64(x)
				diff, size = diff+d*d, size+float64(x)*float64(x)
			}
			if rms := math.Sqrt(diff / size); !(rms < 1e-5) || len(got) != len(want) {
				t.Errorf("relative RMS %g over %d logits of %d", rms, len(got), len(want))
			}
		})
	}
}

// TestFactorErrors holds factors that cannot be applied to an error that names them.
func TestFactorErrors(t *testing.T) {
	t.Parallel()
	const up = "blk.0.ffn_up"
	for _, c := range []struct {
		arch, want string
		change     func(h held)
	}{
		{"llama", `tensor "blk.0.ffn_up.scale" has shape [2], want one factor of "blk.0.ffn_up.weight"`,
			func(h held) { h.put(t, up+".scale", tensor.F32, []float32{1, 2}, 2) }},
		{"llama", `tensor "blk.0.ffn_up.scale" is F16, not F32`,
			func(h held) { h.put(t, up+".scale", tensor.F16, []float32{1}, 1) }},
		{"qwen3moe", `tensor "blk.0.ffn_up_exps.scale" has shape [3], want one factor`,
			func(h held) { h.put(t, up+"_exps.scale", tensor.F32, []float32{1, 2, 3}, 3) }},
		{"llama", `tensor "token_embd.weight" has a factor beside it, which this architecture does not apply`,
			func(h held) {
				e := h["token_embd.weight"].info.Shape
				h.put(t, "token_embd.weight", quant.NVFP4, make([]float32, e.Elems()), e...)
				h.put(t, "token_embd.scale", tensor.F32, []float32{2}, 1)
			}},
	} {
		m := newModel(t, factorMeta(t, c.arch))
		h, _, _ := factors(t, m, tiny.Weights(m, tensor.F32, 5))
		c.change(h)
		dev := opsref.New(opsref.Options{Threads: 1})
		_, _, err := models.DeclareWeights(m, h, dev)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.arch, err, c.want)
		}
		if err := dev.Close(); err != nil {
			t.Error(err)
		}
	}
}
