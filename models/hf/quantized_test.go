package hf

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/internal/logits"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// quantizedShapes are the matrices of a Qwen 2 model of one layer, 64 wide.
var quantizedShapes = map[string][2]int{
	"self_attn.q_proj": {64, 64}, "self_attn.k_proj": {32, 64}, "self_attn.v_proj": {32, 64},
	"self_attn.o_proj": {64, 64}, "mlp.gate_proj": {96, 64}, "mlp.up_proj": {96, 64}, "mlp.down_proj": {64, 96},
}

const quantizedSizes = `"hidden_size":64,"num_hidden_layers":1,"num_attention_heads":4,"num_key_value_heads":2,"max_position_embeddings":128,"rms_norm_eps":1e-5,"intermediate_size":96`

// quantizedGGUF are the names that matrices get.
var quantizedGGUF = map[string]string{
	"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
	"self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
	"mlp.down_proj": "ffn_down",
}

// whole is a matrix of whole numbers with scales, drawn by chance.
type whole struct {
	rows, cols, groups int
	q                  []int // [rows, cols]
	zeros              []int // [rows, groups]
	scales             []float32
	group              []int // of each column
}

func (w whole) at(r, c int) float32 {
	g := r*w.groups + w.group[c]
	return float32(w.q[r*w.cols+c]-w.zeros[g]) * w.scales[g]
}

// draw makes numbers from lo to hi with zero points by zero; scales are a few bits wide, so that BF16 has them too, but
// for those of wide, which F16 has not.
func draw(rng *rand.Rand, rows, cols, size, lo, hi int, zero func() int, wide bool) whole {
	w := whole{rows: rows, cols: cols, groups: (cols + size - 1) / size}
	for range rows * cols {
		w.q = append(w.q, lo+rng.IntN(hi-lo+1))
	}
	for range rows * w.groups {
		w.zeros = append(w.zeros, zero())
		s := float32(128+rng.IntN(128)) / 8192
		if wide {
			s *= 0x1p-20
		}
		w.scales = append(w.scales, s)
	}
	for c := range cols {
		w.group = append(w.group, c/size)
	}
	return w
}

// putBits sets the bits of v in little-endian words that lie stride bytes apart, from bit at on.
func putBits(b []byte, at, bits, stride, v int) {
	for k := range bits {
		if v>>k&1 == 1 {
			i := at + k
			b[i/32*stride+i%32/8] |= 1 << (i % 8)
		}
	}
}

func i32Tensor(shape ...int) stTensor {
	return stTensor{"I32", shape, make([]byte, 4*tensor.Shape(shape).Elems())}
}

func i32s(x []int) stTensor {
	t := i32Tensor(len(x))
	for i, v := range x {
		binary.LittleEndian.PutUint32(t.data[4*i:], uint32(int32(v)))
	}
	return t
}

// columns are [groups, rows] of w's [rows, groups].
func (w whole) columns(x []float32) []float32 {
	var out []float32
	for g := range w.groups {
		for r := range w.rows {
			out = append(out, x[r*w.groups+g])
		}
	}
	return out
}

func scalesTensor(t *testing.T, dtype string, x []float32, shape ...int) stTensor {
	return stTensor{dtype, shape, encoded(t, dtype, len(x), func(i int) float32 { return x[i] })}
}

// putGPTQ stores w as AutoGPTQ does: numbers of a column of the output below each other, zero points less one.
func putGPTQ(t *testing.T, m map[string]stTensor, module string, w whole, bits, less int, dtype string) {
	qweight, qzeros := i32Tensor(w.cols*bits/32, w.rows), i32Tensor(w.groups, w.rows*bits/32)
	for r := range w.rows {
		for c := range w.cols {
			putBits(qweight.data[4*r:], c*bits, bits, 4*w.rows, w.q[r*w.cols+c])
		}
		for g := range w.groups {
			putBits(qzeros.data[4*g*qzeros.shape[1]:], r*bits, bits, 4, w.zeros[r*w.groups+g]-less)
		}
	}
	m[module+".qweight"], m[module+".qzeros"], m[module+".g_idx"] = qweight, qzeros, i32s(w.group)
	m[module+".scales"] = scalesTensor(t, dtype, w.columns(w.scales), w.groups, w.rows)
}

// putAWQ stores w as AutoAWQ does: eight rows in a word, in the order of its kernels.
func putAWQ(t *testing.T, m map[string]stTensor, module string, w whole) {
	order := []int{0, 2, 4, 6, 1, 3, 5, 7}
	pack := func(n int, at func(i, r int) int) stTensor {
		out := i32Tensor(n, w.rows/8)
		for i := range n {
			for word := range w.rows / 8 {
				var v uint32
				for k, r := range order {
					v |= uint32(at(i, 8*word+r)) << (4 * k)
				}
				binary.LittleEndian.PutUint32(out.data[4*(i*w.rows/8+word):], v)
			}
		}
		return out
	}
	m[module+".qweight"] = pack(w.cols, func(c, r int) int { return w.q[r*w.cols+c] })
	m[module+".qzeros"] = pack(w.groups, func(g, r int) int { return w.zeros[r*w.groups+g] })
	m[module+".scales"] = scalesTensor(t, "F16", w.columns(w.scales), w.groups, w.rows)
}

// putPacked stores w as compressed-tensors does, with zero points if there are others than half the range.
func putPacked(t *testing.T, m map[string]stTensor, module string, w whole, bits int, dtype string, order bool) {
	per := 32 / bits
	packed := i32Tensor(w.rows, (w.cols+per-1)/per)
	zeros := i32Tensor((w.rows+per-1)/per, w.groups)
	for r := range w.rows {
		for c := range w.cols {
			putBits(packed.data[4*r*packed.shape[1]:], c*bits, bits, 4, w.q[r*w.cols+c])
		}
		for g := range w.groups {
			putBits(zeros.data[4*(r/per*w.groups+g):], r%per*bits, bits, 4, w.zeros[r*w.groups+g])
		}
	}
	m[module+".weight_packed"] = packed
	m[module+".weight_scale"] = scalesTensor(t, dtype, w.scales, w.rows, w.groups)
	shape := stTensor{"I64", []int{2}, make([]byte, 16)}
	binary.LittleEndian.PutUint64(shape.data, uint64(w.rows))
	binary.LittleEndian.PutUint64(shape.data[8:], uint64(w.cols))
	m[module+".weight_shape"] = shape
	if slices.ContainsFunc(w.zeros, func(z int) bool { return z != 1<<(bits-1) }) {
		m[module+".weight_zero_point"] = zeros
	}
	if order {
		m[module+".weight_g_idx"] = i32s(w.group)
	}
}

// putBytes stores numbers of one byte, which w has above 128.
func putBytes(t *testing.T, m map[string]stTensor, module string, w whole) {
	b := make([]byte, len(w.q))
	for i, q := range w.q {
		b[i] = byte(int8(q))
	}
	m[module+".weight"] = stTensor{"I8", []int{w.rows, w.cols}, b}
	m[module+".weight_scale"] = scalesTensor(t, "BF16", w.scales, w.rows, w.groups)
}

// quantizedTensors are those of the model that are not quantized.
func quantizedTensors(t *testing.T) map[string]stTensor {
	m := map[string]stTensor{}
	for name, shape := range map[string][]int{"model.embed_tokens.weight": {vocab, 64}, "model.norm.weight": {64},
		"lm_head.weight": {vocab, 64}, layer0 + "input_layernorm.weight": {64},
		layer0 + "post_attention_layernorm.weight": {64}, layer0 + "self_attn.q_proj.bias": {64},
		layer0 + "self_attn.k_proj.bias": {32}, layer0 + "self_attn.v_proj.bias": {32}} {
		m[name] = sampleTensor(t, name, shape...)
	}
	return m
}

// quantizedCase is a folder in which all matrices are quantized in one way.
type quantizedCase struct {
	name, config string
	dtype        tensor.DType // that they become
	note         string
	size, lo, hi int
	zero         func(rng *rand.Rand) int
	wide         bool
	change       func(rng *rand.Rand, w *whole)
	put          func(t *testing.T, m map[string]stTensor, module string, w whole)
}

func always(n int) func(*rand.Rand) int { return func(*rand.Rand) int { return n } }

// shuffled gives columns groups out of turn, as act-order does.
func shuffled(rng *rand.Rand, w *whole) {
	rng.Shuffle(len(w.group), func(i, j int) { w.group[i], w.group[j] = w.group[j], w.group[i] })
}

func gptqPut(bits, less int, dtype string) func(*testing.T, map[string]stTensor, string, whole) {
	return func(t *testing.T, m map[string]stTensor, module string, w whole) {
		putGPTQ(t, m, module, w, bits, less, dtype)
	}
}

func packedPut(bits int, dtype string, order bool) func(*testing.T, map[string]stTensor, string, whole) {
	return func(t *testing.T, m map[string]stTensor, module string, w whole) {
		putPacked(t, m, module, w, bits, dtype, order)
	}
}

func quantizedCases() []quantizedCase {
	anyOf16 := func(rng *rand.Rand) int { return rng.IntN(16) }
	upTo15 := func(rng *rand.Rand) int { return 1 + rng.IntN(15) }
	packed := func(bits int) string {
		return fmt.Sprintf(`{"quant_method":"compressed-tensors","format":"pack-quantized","sparsity_config":{},"transform_config":{},"config_groups":{"group_0":{"targets":["Linear"],"weights":{"num_bits":%d,"type":"int"}}},"ignore":["lm_head"]}`, bits)
	}
	return []quantizedCase{
		{name: "GPTQ, symmetric", config: `{"quant_method":"gptq","bits":4,"group_size":32,"desc_act":false,"sym":true}`,
			dtype: quant.Q4_0, note: "weights in GPTQ: kept as Q4_0, exactly (tensors: 7)", size: 32, hi: 15, zero: always(8),
			put: gptqPut(4, 1, "F16")},
		{name: "GPTQ of zero points", config: `{"quant_method":"gptq","bits":4,"group_size":32,"sym":false}`,
			dtype: quant.Q5_0, size: 32, hi: 15, zero: upTo15, put: gptqPut(4, 1, "F16")},
		{name: "GPTQ, second form", config: `{"quant_method":"gptq","bits":4,"group_size":32,"checkpoint_format":"gptq_v2"}`,
			dtype: quant.Q5_0, size: 32, hi: 15, zero: anyOf16, put: gptqPut(4, 0, "F16")},
		{name: "GPTQ in the order of activations", config: `{"quant_method":"gptq","bits":4,"group_size":32,"desc_act":true}`,
			dtype: tensor.BF16, note: "weights in GPTQ: rounded to BF16 (tensors: 7), with a relative RMS error of 0.0", size: 32, hi: 15,
			zero: always(8), change: shuffled, put: gptqPut(4, 1, "F16")},
		{name: "GPTQ of whole columns", config: `{"quant_method":"gptq","bits":4,"group_size":-1}`,
			dtype: quant.Q4_0, size: 96, hi: 15, zero: always(8), put: gptqPut(4, 1, "F16")},
		{name: "GPTQ of 8 bits", config: `{"quant_method":"gptq","bits":8,"group_size":32}`,
			dtype: quant.Q8_0, size: 32, hi: 255, zero: always(128), put: gptqPut(8, 1, "F16")},
		{name: "GPTQ of 8 bits with zero points", config: `{"quant_method":"gptq","bits":8,"group_size":32}`,
			dtype: tensor.BF16, size: 32, hi: 255, zero: func(rng *rand.Rand) int { return 100 + rng.IntN(50) },
			put: gptqPut(8, 1, "F16")},
		{name: "GPTQ of 3 bits", config: `{"quant_method":"gptq","bits":3,"group_size":32}`,
			dtype: quant.Q4_0, size: 32, hi: 7, zero: func(rng *rand.Rand) int { return 1 + rng.IntN(7) },
			put: gptqPut(3, 1, "F16")},
		{name: "GPTQ of 2 bits", config: `{"quant_method":"gptq","bits":2,"group_size":64}`,
			dtype: quant.Q4_0, size: 64, hi: 3, zero: always(2), put: gptqPut(2, 1, "BF16")},
		{name: "GPTQ of scales that F16 has not", config: `{"quant_method":"gptq","bits":4,"group_size":32}`,
			dtype: tensor.BF16, size: 32, hi: 15, zero: always(8), wide: true, put: gptqPut(4, 1, "BF16")},
		{name: "AWQ", config: `{"quant_method":"awq","bits":4,"group_size":32,"version":"gemm","zero_point":true,"modules_to_not_convert":null}`,
			dtype: quant.Q5_0, note: "weights in AWQ: kept as Q5_0, exactly (tensors: 7)", size: 32, hi: 15, zero: anyOf16, put: putAWQ},
		{name: "packed", config: packed(4), dtype: quant.Q4_0, note: "weights in packed integers: kept as Q4_0, exactly (tensors: 7)",
			size: 32, hi: 15, zero: always(8), put: packedPut(4, "BF16", false)},
		{name: "packed with zero points", config: packed(4), dtype: quant.Q5_0, size: 32, hi: 15, zero: anyOf16,
			put: packedPut(4, "F16", false)},
		{name: "packed of rows", config: packed(8), dtype: quant.Q8_0, size: 96, hi: 255, zero: always(128),
			put: packedPut(8, "BF16", false)},
		{name: "packed in the order of activations", config: packed(4), dtype: tensor.BF16, size: 32, hi: 15, zero: always(8),
			change: shuffled, put: packedPut(4, "BF16", true)},
		{name: "bytes", config: `{"quant_method":"compressed-tensors","format":"int-quantized"}`, dtype: quant.Q8_0,
			note: "weights in 8-bit integers: kept as Q8_0, exactly (tensors: 7)", size: 96, lo: -128, hi: 127, zero: always(0), put: putBytes},
	}
}

// folders writes the model as the case has it, and with the same weights in F32.
func (c quantizedCase) folders(t *testing.T) (quantized, plain string, want map[string][]float32) {
	rng := rand.New(rand.NewPCG(uint64(len(c.name)), 7))
	m, p := quantizedTensors(t), quantizedTensors(t)
	want = map[string][]float32{}
	for _, name := range sortedKeys(quantizedShapes) {
		rows, cols := quantizedShapes[name][0], quantizedShapes[name][1]
		w := draw(rng, rows, cols, min(c.size, cols), c.lo, c.hi, func() int { return c.zero(rng) }, c.wide)
		if c.change != nil {
			c.change(rng, &w)
		}
		c.put(t, m, layer0+name, w)
		x := make([]float32, rows*cols)
		for i := range x {
			x[i] = w.at(i/cols, i%cols)
		}
		want["blk.0."+quantizedGGUF[name]+".weight"] = x
		p[layer0+name+".weight"] = stTensor{"F32", []int{rows, cols}, encoded(t, "F32", len(x),
			func(i int) float32 { return x[i] })}
	}
	config := `{"architectures":["Qwen2ForCausalLM"],` + quantizedSizes + `%s}`
	return makeFolder(t, fmt.Sprintf(config, `,"quantization_config":`+c.config), m),
		makeFolder(t, fmt.Sprintf(config, ""), p), want
}

// TestIntegers reads whole numbers in each packing: the values must be those that the definition gives, in the blocks
// that hold them or, where none does, rounded to BF16.
func TestIntegers(t *testing.T) {
	for _, c := range quantizedCases() {
		t.Run(c.name, func(t *testing.T) {
			dir, _, want := c.folders(t)
			f := openFolder(t, dir)
			for name, x := range want {
				info, _ := f.Tensor(name)
				if info.DType != c.dtype {
					t.Errorf("%s is %v, want %v", name, info.DType, c.dtype)
				}
				exact := make([]float32, len(x))
				if err := f.ReadRows(info, exact, 0); err != nil {
					t.Fatal(err)
				}
				got := readFloats(t, f, name)
				for i, v := range x {
					if exact[i] != v || c.dtype != tensor.BF16 && got[i] != v {
						t.Fatalf("%s: element %d is %v, by ReadRows %v, want %v", name, i, got[i], exact[i], v)
					}
				}
			}
			if notes := strings.Join(f.Notes, "\n"); !strings.Contains(notes, c.note) {
				t.Errorf("notes %q, want %q", notes, c.note)
			}
		})
	}
}

// TestQuantizedLogits runs quantized folders, whose logits must be those of the same weights in F32.
func TestQuantizedLogits(t *testing.T) {
	ids := []int32{5, 300, 17, 4, 99}
	for _, i := range []int{0, 1, 5, 10} {
		c := quantizedCases()[i]
		dir, plain, _ := c.folders(t)
		got, _ := steps(t, startRunner(t, openFolder(t, dir)), ids, 0)
		want, _ := steps(t, startRunner(t, openFolder(t, plain)), ids, 0)
		if rms := logits.RelativeRMS(want, got); !(rms <= 1e-6) || len(got) != len(ids)*vocab {
			t.Errorf("%s: relative RMS %g over %d logits", c.name, rms, len(got))
		}
	}
}

// TestFP8Producers reads FP8 of others than DeepSeek: each with its shape and name of scales.
func TestFP8Producers(t *testing.T) {
	q, gate := layer0+"self_attn.q_proj.weight", layer0+"mlp.gate_proj.weight"
	for _, c := range []struct {
		name, config string
		scales       map[string]stTensor
		at           func(r, c int) int
	}{
		{"compressed-tensors in blocks", `"quantization_config":{"quant_method":"compressed-tensors","format":"float-quantized","config_groups":{"group_0":{"weights":{"num_bits":8,"strategy":"block","block_structure":[8,10]}}}}`,
			map[string]stTensor{q + "_scale": f32Tensor(t, 2, 2), gate + "_scale": f32Tensor(t, 3, 2)},
			func(r, c int) int { return r/8*2 + c/10 }},
		{"rows beside others in blocks", `"quantization_config":{"quant_method":"compressed-tensors","format":"mixed-precision","config_groups":{"group_0":{"format":"float-quantized","weights":{"num_bits":8,"block_structure":[8,10]}}}}`,
			map[string]stTensor{q + "_scale": f32Tensor(t, 16, 1), gate + "_scale": f32Tensor(t, 24, 1)},
			func(r, _ int) int { return r }},
		{"ModelOpt", `"quantization_config":{"quant_method":"modelopt","quant_algo":"FP8"}`,
			map[string]stTensor{q + "_scale": f32Tensor(t), gate + "_scale": f32Tensor(t)},
			func(_, _ int) int { return 0 }},
		{"FBGEMM", `"quantization_config":{"quant_method":"fbgemm_fp8"}`,
			map[string]stTensor{q + "_scale": f32Tensor(t, 16, 1), gate + "_scale": f32Tensor(t, 24, 1)},
			func(r, _ int) int { return r }},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, codes := fp8Folder(t, c.config, c.scales)
			for name, to := range map[string]string{q: "blk.0.attn_q.weight", gate: "blk.0.ffn_gate.weight"} {
				info, _ := f.Tensor(to)
				exact := make([]float32, info.Shape.Elems())
				if err := f.ReadRows(info, exact, 0); err != nil {
					t.Fatal(err)
				}
				for i, x := range exact {
					cols := info.Shape[1]
					if want := e4m3[codes[name][i]] * scaleAt(c.at(i/cols, i%cols)); x != want {
						t.Fatalf("%s: element %d is %v, want %v", to, i, x, want)
					}
				}
			}
			if notes := strings.Join(f.Notes, "\n"); !strings.Contains(notes, "weights in FP8: rounded to BF16 (tensors: 2), with a relative RMS error of 0.0") {
				t.Errorf("notes %q", notes)
			}
		})
	}
}

// TestModelOptFile reads the settings from ModelOpt's own file where config.json has none.
func TestModelOptFile(t *testing.T) {
	open := func(file string) error {
		dir := makeFolder(t, `{"architectures":["Qwen2ForCausalLM"],`+quantizedSizes+`}`, quantizedTensors(t))
		writeFile(t, dir, "hf_quant_config.json", []byte(file))
		f, err := Open(dir)
		if err == nil {
			f.Close()
		}
		return err
	}
	for file, want := range map[string]string{
		`{"producer":{"name":"modelopt"},"quantization":{"quant_algo":"W4A8_AWQ"}}`: `hf_quant_config.json: quantization.quant_algo "W4A8_AWQ" is not read`,
		`{"quantization":7}`:                      "hf_quant_config.json: quantization is not an object",
		`{"quantization":{"quant_algo":"NVFP4"}}`: "missing", // which the folder has no matrix of
		`{`: "hf_quant_config.json: ",
	} {
		if err := open(file); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", file, err, want)
		}
	}
}

// TestBrokenIntegers breaks packed checkpoints in one place at a time.
func TestBrokenIntegers(t *testing.T) {
	cases := map[string]quantizedCase{}
	for _, c := range quantizedCases() {
		cases[c.name] = c
	}
	down := layer0 + "mlp.down_proj"
	f16 := func(shape ...int) stTensor {
		return stTensor{"F16", shape, make([]byte, 2*tensor.Shape(shape).Elems())}
	}
	for _, c := range []struct {
		of, name string
		change   func(m map[string]stTensor)
		want     string
	}{
		{"GPTQ, symmetric", "no zero points", func(m map[string]stTensor) { delete(m, down+".qzeros") },
			`down_proj.qzeros" is missing`},
		{"GPTQ, symmetric", "no scales", func(m map[string]stTensor) { delete(m, down+".scales") },
			`down_proj.scales" is missing`},
		{"GPTQ, symmetric", "scales of other groups", func(m map[string]stTensor) { m[down+".scales"] = f16(2, 64) },
			`down_proj.scales" of F16 has shape [2 64], want F16, BF16 or F32 [3 64]`},
		{"GPTQ, symmetric", "zero points of other groups",
			func(m map[string]stTensor) { m[down+".qzeros"] = i32Tensor(3, 9) },
			`down_proj.qzeros" of I32 has shape [3 9], want I32 [3 8]`},
		{"GPTQ, symmetric", "groups of other columns", func(m map[string]stTensor) { m[down+".g_idx"] = i32Tensor(64) },
			`down_proj.g_idx" of I32 has shape [64], want I32 [96]`},
		{"GPTQ, symmetric", "a group too high", func(m map[string]stTensor) {
			g := make([]int, 96)
			g[95] = 3
			m[down+".g_idx"] = i32s(g)
		}, `down_proj.qweight": column 95 is of group 3, there are 3`},
		{"GPTQ, symmetric", "weights of another type", func(m map[string]stTensor) {
			m[down+".qweight"] = f32Tensor(t, 12, 64)
		}, `down_proj.qweight" of F32 has shape [12 64], GPTQ of 4 bits is I32 [columns*4/32, rows]`},
		{"GPTQ, symmetric", "no rows", func(m map[string]stTensor) { m[down+".qweight"] = i32Tensor(12, 0) },
			`down_proj.qweight" of I32 has shape [12 0]`},
		{"GPTQ, symmetric", "plain weights too", func(m map[string]stTensor) {
			m[down+".weight"] = sampleTensor(t, down, 64, 96)
		}, `down_proj.weight" is there beside`},
		{"AWQ", "rows that are no words", func(m map[string]stTensor) { m[down+".qzeros"] = i32Tensor(2, 8) },
			`down_proj.qzeros" of I32 has shape [2 8], want I32 [3 8]`},
		{"AWQ", "weights of another type", func(m map[string]stTensor) { m[down+".qweight"] = f16(96, 8) },
			`down_proj.qweight" of F16 has shape [96 8], AWQ is I32 [columns, rows/8]`},
		{"packed", "no shape", func(m map[string]stTensor) { delete(m, down+".weight_shape") },
			`down_proj.weight_shape" is missing`},
		{"packed", "another shape", func(m map[string]stTensor) { m[down+".weight_shape"] = i32s([]int{64, 200}) },
			`down_proj.weight_packed" has shape [64 12], which does not fit [64 200]`},
		{"packed", "a negative shape", func(m map[string]stTensor) { m[down+".weight_shape"] = i32s([]int{64, -1}) },
			`down_proj.weight_shape": -1 is no size`},
		{"packed", "scales of columns that no groups share",
			func(m map[string]stTensor) { m[down+".weight_scale"] = f16(64, 5) },
			`down_proj.weight_scale" of F16 has shape [64 5]`},
		{"packed with zero points", "zero points of another shape",
			func(m map[string]stTensor) { m[down+".weight_zero_point"] = i32Tensor(64, 3) },
			`down_proj.weight_zero_point" of I32 has shape [64 3], want I32 [8 3]`},
		{"bytes", "no scales", func(m map[string]stTensor) { delete(m, down+".weight_scale") },
			`down_proj.weight_scale" is missing`},
		{"bytes", "scales of other rows", func(m map[string]stTensor) { m[down+".weight_scale"] = f16(63, 1) },
			`down_proj.weight_scale" of F16 has shape [63 1]`},
	} {
		t.Run(c.of+", "+c.name, func(t *testing.T) {
			q := cases[c.of]
			put := q.put
			q.put = func(t *testing.T, m map[string]stTensor, module string, w whole) {
				if put(t, m, module, w); module == down {
					c.change(m)
				}
			}
			dir, _, _ := q.folders(t)
			f, err := Open(dir)
			if err == nil {
				f.Close()
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}
