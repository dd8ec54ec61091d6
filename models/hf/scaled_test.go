package hf

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// TestFP8Values checks the tables against the values that the specification of the formats names.
func TestFP8Values(t *testing.T) {
	for _, c := range []struct {
		name  string
		table *[256]float32
		code  byte
		want  float32
	}{
		{"e4m3 largest", &e4m3, 0x7E, 448}, {"e4m3 smallest normal", &e4m3, 0x08, 1.0 / 64},
		{"e4m3 smallest", &e4m3, 0x01, 1.0 / 512},
		{"e4m3 largest subnormal", &e4m3, 0x07, 7.0 / 512}, {"e4m3 one", &e4m3, 0x38, 1},
		{"e4m3 minus one", &e4m3, 0xB8, -1}, {"e4m3 zero", &e4m3, 0, 0},
		{"e5m2 largest", &e5m2, 0x7B, 57344}, {"e5m2 smallest normal", &e5m2, 0x04, 1.0 / (1 << 14)},
		{"e5m2 smallest", &e5m2, 0x01, 1.0 / (1 << 16)},
		{"e5m2 infinity", &e5m2, 0x7C, float32(math.Inf(1))}, {"e5m2 one", &e5m2, 0x3C, 1},
	} {
		if got := c.table[c.code]; got != c.want {
			t.Errorf("%s: %#x is %v, want %v", c.name, c.code, got, c.want)
		}
	}
	for _, code := range []byte{0x7F, 0xFF} {
		if x := e4m3[code]; x == x {
			t.Errorf("e4m3 %#x is %v, want NaN", code, x)
		}
	}
}

const fp8Sizes = `"hidden_size":16,"num_hidden_layers":1,"num_attention_heads":4,"num_key_value_heads":2,"max_position_embeddings":64,"rms_norm_eps":1e-5,"intermediate_size":24`

// fp8Folder is a small Qwen 2 model whose ffn_gate and attn_q are FP8.
func fp8Folder(t *testing.T, config string, scales map[string]stTensor) (*Folder, map[string][]byte) {
	t.Helper()
	l := layer0
	stored := map[string]stTensor{}
	for name, shape := range merge(globals, attentionTensors(l),
		map[string][]int{l + "input_layernorm.weight": {16}, l + "post_attention_layernorm.weight": {16},
			l + "mlp.gate_proj.weight": {24, 16}, l + "mlp.up_proj.weight": {24, 16}, l +
				"mlp.down_proj.weight": {16, 24}}) {
		stored[name] = sampleTensor(t, name, shape...)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	codes := map[string][]byte{}
	for _, name := range []string{l + "self_attn.q_proj.weight", l + "mlp.gate_proj.weight"} {
		b := make([]byte, tensor.Shape(stored[name].shape).Elems())
		for i := range b {
			b[i] = byte(rng.IntN(0x7F)) | byte(rng.IntN(2))<<7
		}
		codes[name] = b
		stored[name] = stTensor{"F8_E4M3", stored[name].shape, b}
	}
	for name, s := range scales {
		stored[name] = s
	}
	stored[l+"mlp.gate_proj.input_scale"] = stTensor{"F32", nil, make([]byte, 4)}
	dir := makeFolder(t, `{"architectures":["Qwen2ForCausalLM"],`+fp8Sizes+`,`+config+`}`, stored)
	return openFolder(t, dir), codes
}

// scaleAt are scales with more bits than BF16 has.
func scaleAt(i int) float32 { return 0.01 + 0.0003*float32(i*i) }

func f32Tensor(t *testing.T, shape ...int) stTensor {
	return stTensor{"F32", shape, encoded(t, "F32", tensor.Shape(shape).Elems(), scaleAt)}
}

// TestFP8 reads weights with scales of all kinds: the exact product by ReadRows, its rounding to BF16 by ReadTensor.
func TestFP8(t *testing.T) {
	q, gate := layer0+"self_attn.q_proj.weight", layer0+"mlp.gate_proj.weight"
	for _, c := range []struct {
		name, config string
		scales       map[string]stTensor
		at           func(rows, cols, r, c int) int // which scale
	}{
		{"blocks of 8 by 10", `"quantization_config":{"quant_method":"fp8","weight_block_size":[8,10]}`,
			map[string]stTensor{q + "_scale_inv": f32Tensor(t, 2, 2), gate + "_scale_inv": f32Tensor(t, 3, 2)},
			func(_, _, r, c int) int { return r/8*2 + c/10 }},
		{"blocks larger than the matrix", `"quantization_config":{"quant_method":"fp8","weight_block_size":[128,128]}`,
			map[string]stTensor{q + "_scale_inv": f32Tensor(t, 1, 1), gate + "_scale_inv": f32Tensor(t, 1, 1)},
			func(_, _, _, _ int) int { return 0 }},
		{"rows", `"quantization_config":{"quant_method":"compressed-tensors","format":"float-quantized"}`,
			map[string]stTensor{q + "_scale": f32Tensor(t, 16, 1), gate + "_scale": f32Tensor(t, 24)},
			func(_, _, r, _ int) int { return r }},
		{"one scale", `"quantization_config":{"quant_method":"compressed-tensors","format":"float-quantized"}`,
			map[string]stTensor{q + "_scale": f32Tensor(t), gate + "_scale": f32Tensor(t, 1)},
			func(_, _, _, _ int) int { return 0 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, codes := fp8Folder(t, c.config, c.scales)
			for name, to := range map[string]string{q: "blk.0.attn_q.weight", gate: "blk.0.ffn_gate.weight"} {
				info, _ := f.Tensor(to)
				if info.DType != tensor.BF16 {
					t.Errorf("%s is %v, want BF16", to, info.DType)
				}
				rows, cols := info.Shape[0], info.Shape[1]
				want := make([]float32, rows*cols)
				for i := range want {
					want[i] = e4m3[codes[name][i]] * scaleAt(c.at(rows, cols, i/cols, i%cols))
				}
				exact := make([]float32, len(want))
				if err := f.ReadRows(info, exact, 0); err != nil {
					t.Fatal(err)
				}
				bf16 := make([]byte, 2*len(want))
				if err := quant.Quantize(tensor.BF16, bf16, want, cols, nil); err != nil {
					t.Fatal(err)
				}
				got := make([]byte, info.Size)
				if err := f.ReadTensor(info, got, 0); err != nil {
					t.Fatal(err)
				}
				for i, w := range want {
					if exact[i] != w {
						t.Fatalf("%s: element %d is %v, want %v", to, i, exact[i], w)
					}
				}
				if string(got) != string(bf16) {
					t.Errorf("%s: ReadTensor is not the product rounded to BF16", to)
				}
				readFloats(t, f, to)
			}
		})
	}
}

// gptOSSConfig has one layer, two experts of 32 wide, and hidden size 64.
const gptOSSConfig = `{"architectures":["GptOssForCausalLM"],"hidden_size":64,"num_hidden_layers":1,"num_attention_heads":4,"num_key_value_heads":2,"head_dim":16,"max_position_embeddings":64,
	"rms_norm_eps":1e-5,"intermediate_size":32,"num_local_experts":2,"experts_per_token":1,"sliding_window":8,"layer_types":["sliding_attention"],
	"rope_theta":150000,"rope_scaling":{"rope_type":"yarn","factor":32.0,"original_max_position_embeddings":4096,"beta_fast":32.0,"beta_slow":1.0,"truncate":false}%s}`

func gptOSSTensors0(t *testing.T) map[string]stTensor {
	l, stored := layer0, map[string]stTensor{}
	for name, shape := range map[string][]int{"model.embed_tokens.weight": {vocab, 64}, "model.norm.weight": {64},
		"lm_head.weight":             {vocab, 64},
		l + "input_layernorm.weight": {64}, l + "post_attention_layernorm.weight": {64}, l + "self_attn.sinks": {4},
		l + "self_attn.q_proj.weight": {64, 64}, l + "self_attn.k_proj.weight": {32, 64}, l +
			"self_attn.v_proj.weight": {32, 64}, l + "self_attn.o_proj.weight": {64, 64},
		l + "self_attn.q_proj.bias": {64}, l + "self_attn.k_proj.bias": {32}, l + "self_attn.v_proj.bias": {32}, l +
			"self_attn.o_proj.bias": {64},
		l + "mlp.router.weight": {2, 64}, l + "mlp.router.bias": {2}, l + "mlp.experts.gate_up_proj_bias": {2, 64}, l +
			"mlp.experts.down_proj_bias": {2, 64}} {
		stored[name] = sampleTensor(t, name, shape...)
	}
	return stored
}

// e2m1 are the values of the codes of MXFP4 (OCP Microscaling Formats, table 5).
var e2m1 = [16]float32{0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5, -1, -1.5, -2, -3, -4, -6}

// TestGPTOSSExperts checks both forms of experts: blocks of MXFP4, whose values must be those that the format's
// definition gives, and the transposed BF16 one.
func TestGPTOSSExperts(t *testing.T) {
	dir := layer0 + "mlp.experts."
	rng := rand.New(rand.NewPCG(3, 4))
	random := func(n int, f func() byte) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = f()
		}
		return b
	}
	anyByte := func() byte { return byte(rng.IntN(256)) }
	scale := func() byte { return byte(120 + rng.IntN(10)) }
	stored := gptOSSTensors0(t)
	// gate_up: 2 experts, 64 rows, 64 columns in 2 blocks; down: 64 rows of one block.
	blocks := map[string]stTensor{
		"gate_up_proj_blocks": {"U8", []int{2, 64, 2, 16}, random(2*64*2*16, anyByte)},
		"gate_up_proj_scales": {"U8", []int{2, 64, 2}, random(2*64*2, scale)},
		"down_proj_blocks":    {"U8", []int{2, 64, 1, 16}, random(2*64*16, anyByte)},
		"down_proj_scales":    {"U8", []int{2, 64, 1}, random(2*64, scale)},
	}
	for name, s := range blocks {
		stored[dir+name] = s
	}
	f := openFolder(t, makeFolder(t, fmt.Sprintf(gptOSSConfig, `,"quantization_config":{"quant_method":"mxfp4"}`),
		stored))
	value := func(name string, row, col int) float32 {
		b, s := blocks[name+"_blocks"], blocks[name+"_scales"]
		per := b.shape[2]
		k := row*per + col/32
		code := b.data[k*16+col%32/2] >> (col % 2 * 4) & 15
		return float32(math.Ldexp(float64(e2m1[code]), int(s.data[k])-127))
	}
	for to, at := range map[string]func(row, col int) float32{
		"blk.0.ffn_gate_exps.weight": func(r, c int) float32 { return value("gate_up_proj", r/32*64+r%32*2, c) },
		"blk.0.ffn_up_exps.weight":   func(r, c int) float32 { return value("gate_up_proj", r/32*64+r%32*2+1, c) },
		"blk.0.ffn_down_exps.weight": func(r, c int) float32 { return value("down_proj", r, c) },
	} {
		info, _ := f.Tensor(to)
		if info.DType != quant.MXFP4 || len(info.Shape) != 3 || info.Shape[0] != 2 {
			t.Errorf("%s is %v %v", to, info.DType, info.Shape)
			continue
		}
		for i, x := range readFloats(t, f, to) {
			if want := at(i/info.Shape[2], i%info.Shape[2]); x != want {
				t.Errorf("%s: element %d is %v, want %v", to, i, x, want)
				break
			}
		}
	}
	checkBias(t, f)
	checkKeys(t, f.Meta, map[string]any{"gpt-oss.expert_feed_forward_length": uint32(32),
		"gpt-oss.rope.scaling.type": "yarn", "gpt-oss.rope.scaling.factor": float32(32),
		"gpt-oss.rope.scaling.original_context_length": uint32(4096), "gpt-oss.attention.sliding_window": uint32(8)})

	stored = gptOSSTensors0(t)
	stored[dir+"gate_up_proj"] = sampleTensor(t, dir+"gate_up_proj", 2, 64, 64) // [experts, in, out]
	stored[dir+"down_proj"] = sampleTensor(t, dir+"down_proj", 2, 32, 64)
	f = openFolder(t, makeFolder(t, fmt.Sprintf(gptOSSConfig, ""), stored))
	for to, w := range map[string]wantTensor{
		"blk.0.ffn_gate_exps.weight": mapped(dir+"gate_up_proj",
			func(i int) int { return i/(32*64)*64*64 + i%64*64 + i/64%32*2 }, 2, 32, 64),
		"blk.0.ffn_up_exps.weight": mapped(dir+"gate_up_proj",
			func(i int) int { return i/(32*64)*64*64 + i%64*64 + i/64%32*2 + 1 }, 2, 32, 64),
		"blk.0.ffn_down_exps.weight": mapped(dir+"down_proj",
			func(i int) int { return i/(64*32)*64*32 + i%32*64 + i/32%64 }, 2, 64, 32),
	} {
		checkTensor(t, f, to, w)
	}
	checkBias(t, f)
}

func checkBias(t *testing.T, f *Folder) {
	t.Helper()
	name := layer0 + "mlp.experts.gate_up_proj_bias"
	for i, to := range []string{"blk.0.ffn_gate_exps.bias", "blk.0.ffn_up_exps.bias"} {
		info, _ := f.Tensor(to)
		if info.DType != tensor.F32 || !info.Shape.Equal(tensor.Shape{2, 32}) {
			t.Errorf("%s is %v %v", to, info.DType, info.Shape)
			continue
		}
		for j, x := range readFloats(t, f, to) {
			if want := sampleAt(name, 2*j+i); x != want {
				t.Errorf("%s: element %d is %v, want %v", to, j, x, want)
			}
		}
	}
}

// TestQuantizedCheckpoints checks that what cannot be read is refused by name.
func TestQuantizedCheckpoints(t *testing.T) {
	for _, c := range []struct{ config, want string }{
		{`{"quant_method":"gptq"}`, "quantization_config.bits is missing"},
		{`{"quant_method":"gptq","bits":5,"group_size":128}`, "bits 5 is not read (2, 3, 4 and 8 are)"},
		{`{"quant_method":"gptq","bits":4}`, "quantization_config.group_size is missing"},
		{`{"quant_method":"gptq","bits":4,"group_size":128,"checkpoint_format":"marlin"}`,
			`checkpoint_format "marlin" is not read`},
		{`{"quant_method":"gptq","bits":4,"group_size":128,"pack_dtype":"int16"}`, `pack_dtype "int16" is not read`},
		{`{"quant_method":"awq","bits":8,"group_size":128}`, "bits 8 is not read"},
		{`{"quant_method":"awq","bits":4,"group_size":128,"version":"gemv"}`, `version "gemv" is not read`},
		{`{"quant_method":"bitsandbytes","load_in_4bit":true}`, `"bitsandbytes" is not read: its weights are in blocks`},
		{`{"quant_method":"hqq"}`, `"hqq" is not read (awq, compressed-tensors, `},
		{`{"quant_method":"modelopt","quant_algo":"INT8_SQ"}`, `quant_algo "INT8_SQ" is not read`},
		{`{"quant_method":"compressed-tensors","format":"marlin-24"}`, `format "marlin-24" is not read`},
		{`{"quant_method":"compressed-tensors","format":"mixed-precision","config_groups":{"group_0":{"format":"x"}}}`,
			`config_groups.group_0.format "x" is not read`},
		{`{"quant_method":"compressed-tensors","sparsity_config":{"format":"sparse-24-bitmask"}}`,
			`sparsity_config.format "sparse-24-bitmask" is not read`},
		{`{"quant_method":"compressed-tensors","transform_config":{"config_groups":{}}}`,
			"transform_config is not read"},
		{`{"quant_method":"fp8","weight_block_size":[0,128]}`, "weight_block_size"},
		{`{"quant_method":"fp8","weight_block_size":"128"}`, "weight_block_size"},
	} {
		dir := makeFolder(t, `{"architectures":["Qwen2ForCausalLM"],`+fp8Sizes+`,"quantization_config":`+c.config+`}`,
			map[string]stTensor{"x": sampleTensor(t, "x", 1)})
		f, err := Open(dir)
		if err == nil {
			f.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.config, err, c.want)
		}
	}
}

// TestBrokenScales breaks blocks and scales of quantized checkpoints in one place at a time.
func TestBrokenScales(t *testing.T) {
	dir, q := layer0+"mlp.experts.", layer0+"self_attn.q_proj.weight"
	u8 := func(shape ...int) stTensor { return stTensor{"U8", shape, make([]byte, tensor.Shape(shape).Elems())} }
	mxfp4 := func(change func(m map[string]stTensor)) map[string]stTensor {
		m := gptOSSTensors0(t)
		m[dir+"gate_up_proj_blocks"], m[dir+"gate_up_proj_scales"] = u8(2, 64, 2, 16), u8(2, 64, 2)
		m[dir+"down_proj_blocks"], m[dir+"down_proj_scales"] = u8(2, 64, 1, 16), u8(2, 64, 1)
		change(m)
		return m
	}
	fp8 := func(change func(m map[string]stTensor)) map[string]stTensor {
		_, m := goodLlama(t)
		m[q], m[q+"_scale_inv"] = stTensor{"F8_E4M3", []int{16, 16}, make([]byte, 256)}, f32Tensor(t, 2, 2)
		change(m)
		return m
	}
	config, _ := goodLlama(t)
	fp8Config := strings.Replace(config, "{",
		`{"quantization_config":{"quant_method":"fp8","weight_block_size":[8,8]},`, 1)
	mxfp4Config := fmt.Sprintf(gptOSSConfig, `,"quantization_config":{"quant_method":"mxfp4"}`)
	for _, c := range []struct {
		name, config string
		stored       map[string]stTensor
		want         string
	}{
		{"good FP8", fp8Config, fp8(func(map[string]stTensor) {}), ""},
		{"good MXFP4", mxfp4Config, mxfp4(func(map[string]stTensor) {}), ""},
		{"FP8 without scales", fp8Config, fp8(func(m map[string]stTensor) { delete(m, q+"_scale_inv") }),
			`"` + q + `" is F8_E4M3, but neither "` + q + `_scale_inv" nor`},
		{"FP8 with scales of another shape", fp8Config,
			fp8(func(m map[string]stTensor) { m[q+"_scale_inv"] = f32Tensor(t, 2, 3) }),
			`_scale_inv" has shape [2 3], which does not fit "` + q + `" of shape [16 16] in blocks of 8 by 8`},
		{"FP8 with scales transposed to a vector", fp8Config,
			fp8(func(m map[string]stTensor) { m[q+"_scale_inv"] = f32Tensor(t, 4) }),
			"has shape [4], which does not fit"},
		{"FP8 with scales in bytes", fp8Config, fp8(func(m map[string]stTensor) { m[q+"_scale_inv"] = u8(2, 2) }),
			`_scale_inv" of scales is U8`},
		{"scales of a weight that is not FP8", fp8Config,
			fp8(func(m map[string]stTensor) { m[q] = sampleTensor(t, q, 16, 16) }), `_scale_inv" has no place`},
		{"MXFP4 without scales", mxfp4Config, mxfp4(func(m map[string]stTensor) { delete(m, dir+"down_proj_scales") }),
			`down_proj_scales" is missing`},
		{"MXFP4 with scales of another shape", mxfp4Config,
			mxfp4(func(m map[string]stTensor) { m[dir+"gate_up_proj_scales"] = u8(2, 64, 1) }),
			"gate_up_proj_scales\" of U8 has shape [2 64 1], the scales of blocks [2 64 2 16] are U8 [2 64 2]"},
		{"MXFP4 with scales of another type", mxfp4Config,
			mxfp4(func(m map[string]stTensor) { m[dir+"gate_up_proj_scales"] = f32Tensor(t, 2, 64, 2) }),
			"gate_up_proj_scales\" of F32"},
		{"MXFP4 with blocks of eight bytes", mxfp4Config,
			mxfp4(func(m map[string]stTensor) { m[dir+"gate_up_proj_blocks"] = u8(2, 64, 4, 8) }),
			"MXFP4 blocks are U8 [..., 16]"},
		{"MXFP4 with blocks of another type", mxfp4Config, mxfp4(func(m map[string]stTensor) {
			m[dir+"gate_up_proj_blocks"] = stTensor{"I8", []int{2, 64, 2, 16}, make([]byte, 4096)}
		}), "MXFP4 blocks are U8"},
		{"MXFP4 without experts", mxfp4Config, mxfp4(func(m map[string]stTensor) {
			m[dir+"down_proj_blocks"], m[dir+"down_proj_scales"] = u8(64, 1, 16), u8(64, 1)
		}), "want [experts, rows, blocks, 16]"},
		{"MXFP4 with an odd number of rows", mxfp4Config, mxfp4(func(m map[string]stTensor) {
			m[dir+"gate_up_proj_blocks"], m[dir+"gate_up_proj_scales"] = u8(2, 63, 2, 16), u8(2, 63, 2)
		}), "of which the second dimension is odd"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, err := Open(makeFolder(t, c.config, c.stored))
			if err == nil {
				f.Close()
			}
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}
