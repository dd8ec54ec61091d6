package hf

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/internal/logits"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// fp4Folder is the model with matrices of 4-bit floats, drawn by chance: codes with the even element in the low bits,
// and a byte of scale for each group of columns, which store puts under the names of a producer. plain is the same model in
// F32.
func fp4Folder(t *testing.T, config string, group int, store func(m map[string]stTensor, module string, codes, scales stTensor),
	value func(code, scale byte) float32) (f, plain *Folder, want map[string][]float32) {
	t.Helper()
	rng := rand.New(rand.NewPCG(8, 9))
	m, p := quantizedTensors(t), quantizedTensors(t)
	want = map[string][]float32{}
	for _, name := range sortedKeys(quantizedShapes) {
		rows, cols := quantizedShapes[name][0], quantizedShapes[name][1]
		codes, scales := make([]byte, rows*cols/2), make([]byte, rows*cols/group)
		for i := range codes {
			codes[i] = byte(rng.IntN(256))
		}
		for i := range scales {
			scales[i] = byte(0x60 + rng.IntN(0x1E))
		}
		x := make([]float32, rows*cols)
		for i := range x {
			x[i] = value(codes[i/2]>>(4*(i%2))&15, scales[i/group])
		}
		want["blk.0."+quantizedGGUF[name]+".weight"] = x
		p[layer0+name+".weight"] = stTensor{"F32", []int{rows, cols}, f32s(x...).data}
		store(m, layer0+name, stTensor{"U8", []int{rows, cols / 2}, codes},
			stTensor{"U8", []int{rows, cols / group}, scales})
	}
	const class = `{"architectures":["Qwen2ForCausalLM"],`
	return openFolder(t, makeFolder(t, class+quantizedSizes+config+`}`, m)),
		openFolder(t, makeFolder(t, class+quantizedSizes+`}`, p)), want
}

// f32s are F32 numbers.
func f32s(x ...float32) stTensor {
	t := stTensor{"F32", []int{len(x)}, make([]byte, 4*len(x))}
	for i, v := range x {
		binary.LittleEndian.PutUint32(t.data[4*i:], math.Float32bits(v))
	}
	return t
}

// TestFP4 reads 4-bit floats of each producer.
func TestFP4(t *testing.T) {
	e4m3fn := func(b byte) float64 { return math.Ldexp(1+float64(b&7)/8, int(b>>3&15)-7) } // normal numbers
	modelOpt := func(m map[string]stTensor, module string, codes, scales stTensor) {
		scales.dtype = "F8_E4M3"
		m[module+".weight"], m[module+".weight_scale"], m[module+".weight_scale_2"] = codes, scales, f32s(0.0123)
		m[module+".weight_scale_2"] = stTensor{"F32", nil, f32s(0.0123).data}
		m[module+".input_scale"] = f32s(1)
	}
	modelOptValue := func(code, scale byte) float32 {
		return float32(float64(e2m1[code]) * e4m3fn(scale) * float64(float32(0.0123)))
	}
	for _, c := range []struct {
		name, config, file string
		group              int
		dtype              tensor.DType
		note               string
		rms                float64 // of logits; down_proj is rounded where its rows are no whole blocks
		store              func(m map[string]stTensor, module string, codes, scales stTensor)
		value              func(code, scale byte) float32
	}{
		{name: "NVFP4 of ModelOpt", config: `,"quantization_config":{"quant_method":"modelopt","quant_algo":"NVFP4","ignore":["lm_head"]}`,
			group: 16, dtype: quant.NVFP4, note: "weights in NVFP4: kept as NVFP4, exactly (tensors: 6)",
			rms: 1e-2, store: modelOpt, value: modelOptValue},
		{name: "NVFP4 of compressed-tensors",
			config: `,"quantization_config":{"quant_method":"compressed-tensors","format":"nvfp4-pack-quantized","config_groups":{"group_0":{"weights":{"num_bits":4,"type":"float"}}}}`,
			group:  16, dtype: quant.NVFP4, note: "weights in NVFP4: rounded to BF16 (tensors: 1), with a relative RMS error of 0.0",
			rms: 1e-2,
			store: func(m map[string]stTensor, module string, codes, scales stTensor) {
				scales.dtype = "F8_E4M3"
				m[module+".weight_packed"], m[module+".weight_scale"] = codes, scales
				m[module+".weight_global_scale"], m[module+".input_global_scale"] = f32s(2688), f32s(3)
			},
			value: func(code, scale byte) float32 {
				return float32(float64(e2m1[code]) * e4m3fn(scale) * float64(1/float32(2688)))
			}},
		{name: "MXFP4 of compressed-tensors", config: `,"quantization_config":{"quant_method":"compressed-tensors","format":"mxfp4-pack-quantized"}`,
			group: 32, dtype: quant.MXFP4, note: "weights in MXFP4: kept as MXFP4, exactly (tensors: 7)",
			rms: 1e-6,
			store: func(m map[string]stTensor, module string, codes, scales stTensor) {
				m[module+".weight_packed"], m[module+".weight_scale"] = codes, scales
			},
			value: func(code, scale byte) float32 { return float32(math.Ldexp(float64(e2m1[code]), int(scale)-127)) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, plain, want := fp4Folder(t, c.config, c.group, c.store, c.value)
			for name, x := range want {
				info, _ := f.Tensor(name)
				dtype := c.dtype
				if dtype == quant.NVFP4 && info.Shape.Last()%64 != 0 {
					dtype = tensor.BF16
				}
				if info.DType != dtype {
					t.Errorf("%s is %v, want %v", name, info.DType, dtype)
				}
				exact := make([]float32, len(x))
				if err := f.ReadRows(info, exact, 0); err != nil {
					t.Fatal(err)
				}
				raw, blocks := make([]byte, info.Size), make([]float32, len(x))
				if err := f.ReadTensor(info, raw, 0); err != nil {
					t.Fatal(err)
				}
				if err := quant.Dequantize(info.DType, blocks, raw); err != nil {
					t.Fatal(err)
				}
				factor := float32(1)
				if dtype == quant.NVFP4 {
					factor = readFloats(t, f, strings.TrimSuffix(name, "weight")+"scale")[0]
				}
				for i, v := range x {
					if exact[i] != v || dtype != tensor.BF16 && blocks[i]*factor != v {
						t.Fatalf("%s: element %d is %v, by ReadRows %v, want %v", name, i, blocks[i]*factor, exact[i], v)
					}
				}
			}
			ids := []int32{5, 300, 17, 4, 99}
			got, _ := steps(t, startRunner(t, f), ids, 0)
			logitsOf, _ := steps(t, startRunner(t, plain), ids, 0)
			if rms := logits.RelativeRMS(logitsOf, got); !(rms <= c.rms) || len(got) != len(ids)*vocab {
				t.Errorf("relative RMS %g over %d logits", rms, len(got))
			}
			if notes := strings.Join(f.Notes, "\n"); !strings.Contains(notes, c.note) {
				t.Errorf("notes %q, want %q", notes, c.note)
			}
		})
	}
}

// TestBrokenNVFP4 refuses scales that no block can have.
func TestBrokenNVFP4(t *testing.T) {
	for _, c := range []struct {
		scale  byte
		global float32
		want   string
	}{
		{0x7F, 1, "scale NaN of row 0 is negative or no number"}, {0xB8, 1, "scale -1 of row 0 is negative"},
		{0x38, float32(math.Inf(1)), "_scale_2\" is +Inf, which makes no weights"},
		{0x38, 0, "_scale_2\" is 0, which makes no weights"},
	} {
		m := quantizedTensors(t)
		for name, shape := range quantizedShapes {
			m[layer0+name+".weight"] = stTensor{"U8", []int{shape[0], shape[1] / 2}, make([]byte, shape[0]*shape[1]/2)}
			s := stTensor{"F8_E4M3", []int{shape[0], shape[1] / 16}, make([]byte, shape[0]*shape[1]/16)}
			s.data[0] = c.scale
			m[layer0+name+".weight_scale"], m[layer0+name+".weight_scale_2"] = s, f32s(c.global)
		}
		f, err := Open(makeFolder(t, `{"architectures":["Qwen2ForCausalLM"],`+quantizedSizes+
			`,"quantization_config":{"quant_method":"modelopt","quant_algo":"NVFP4"}}`, m))
		if err == nil {
			info, _ := f.Tensor("blk.0.attn_q.weight")
			err = f.ReadTensor(info, make([]byte, info.Size), 0)
			f.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("scale %#x, factor %v: error %v, want one with %q", c.scale, c.global, err, c.want)
		}
	}
}
