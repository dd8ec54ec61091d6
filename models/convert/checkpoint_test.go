package convert

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/internal/safetensors"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// checkpoint is the folder of makeFolder with up_proj replaced by tensors of a quantized checkpoint.
func checkpoint(t *testing.T, config string, parts map[string]safetensors.Tensor) string {
	t.Helper()
	const name = "model.layers.0.mlp.up_proj"
	dir := makeFolder(t, qwen2Shapes())
	path := filepath.Join(dir, "model.safetensors")
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	tensors, err := safetensors.Decode(file)
	if err != nil {
		t.Fatal(err)
	}
	delete(tensors, name+".weight")
	for part, x := range parts {
		tensors[name+part] = x
	}
	if file, err = safetensors.Encode(tensors); err != nil {
		t.Fatal(err)
	}
	was, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	was = append([]byte(`{"quantization_config":`+config+`,`), was[1:]...)
	if err := os.WriteFile(filepath.Join(dir, "config.json"), was, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, file, 0o666); err != nil {
		t.Fatal(err)
	}
	return dir
}

// gptqFolder has up_proj in GPTQ: number i of row r, of 4 bits around 8, is r*7+i*3, and the scale of its 64-wide group
// g is (r+g+1)/64.
func gptqFolder(t *testing.T) (dir string, value func(r, c int) float32) {
	t.Helper()
	const n, group = 256, 64
	number := func(r, c int) uint32 { return uint32(r*7+c*3) % 16 }
	scale := func(r, g int) float32 { return float32(r+g+1) / 64 }
	words, zeros, scales := make([]byte, n/8*n*4), make([]byte, n/group*n/2), make([]byte, n/group*n*2)
	for i := range n / 8 {
		for r := range n {
			var w uint32
			for k := range 8 {
				w |= number(r, 8*i+k) << (4 * k)
			}
			binary.LittleEndian.PutUint32(words[4*(i*n+r):], w)
		}
	}
	for i := range zeros {
		zeros[i] = 0x77 // less one
	}
	for i := range n / group * n {
		binary.LittleEndian.PutUint16(scales[2*i:], quant.FloatToHalf(scale(i%n, i/n)))
	}
	dir = checkpoint(t, `{"quant_method":"gptq","bits":4,"group_size":64}`, map[string]safetensors.Tensor{
		".qweight": {DType: "I32", Shape: []int{n / 8, n}, Data: words},
		".qzeros":  {DType: "I32", Shape: []int{n / group, n / 8}, Data: zeros},
		".scales":  {DType: "F16", Shape: []int{n / group, n}, Data: scales},
	})
	return dir, func(r, c int) float32 { return float32(int(number(r, c))-8) * scale(r, c/group) }
}

// TestConvertCheckpoint converts a quantized folder: to 16 bits, which keeps the blocks that hold its integers, and to
// another quantized type, which is made from the exact values.
func TestConvertCheckpoint(t *testing.T) {
	dir, value := gptqFolder(t)
	want := make([]float32, 256*256)
	for i := range want {
		want[i] = value(i/256, i%256)
	}
	if f, err := AutoFType(dir); err != nil || f != BF16 {
		t.Errorf("the type that loses least is %v (%v)", f, err)
	}
	for f, dtype := range map[FType]tensor.DType{BF16: quant.Q4_0, F32: quant.Q4_0, Q8_0: quant.Q8_0, Q4_K_M: quant.Q4_K} {
		out := filepath.Join(t.TempDir(), "out.gguf")
		var notes []string
		if err := Convert(t.Context(), dir, out,
			Options{Type: f, Note: func(s string) { notes = append(notes, s) }}); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(strings.Join(notes, "\n"), "weights in GPTQ: kept as Q4_0, exactly (tensors: 1)") {
			t.Errorf("%v: notes %q", f, notes)
		}
		g := openGGUF(t, out)
		info, _ := g.Tensor("blk.0.ffn_up.weight")
		if info.DType != dtype {
			t.Errorf("%v: up is %v, want %v", f, info.DType, dtype)
			continue
		}
		got := contents(t, g, info)
		if dtype != quant.Q4_0 {
			b := make([]byte, info.Size)
			if err := quant.Quantize(dtype, b, want, 256, nil); err != nil {
				t.Fatal(err)
			}
			if string(b) != string(got) {
				t.Errorf("%v: contents differ from the quantized exact values", f)
			}
			continue
		}
		x := make([]float32, len(want))
		if err := quant.Dequantize(dtype, x, got); err != nil {
			t.Fatal(err)
		}
		for i, v := range want {
			if x[i] != v {
				t.Fatalf("%v: element %d is %v, want %v", f, i, x[i], v)
			}
		}
	}
}

// TestConvertFactor converts a folder of NVFP4, whose blocks and factor stay whatever type is asked for; a file of them
// cannot become one of another type.
func TestConvertFactor(t *testing.T) {
	const n, factor = 256, 0.37
	codes, scales := make([]byte, n*n/2), make([]byte, n*n/16)
	for i := range codes {
		codes[i] = byte(i * 29)
	}
	for i := range scales {
		scales[i] = byte(0x30 + i%16) // 1/2 to nearly 2
	}
	dir := checkpoint(t, `{"quant_method":"modelopt","quant_algo":"NVFP4"}`, map[string]safetensors.Tensor{
		".weight":         {DType: "U8", Shape: []int{n, n / 2}, Data: codes},
		".weight_scale":   {DType: "F8_E4M3", Shape: []int{n, n / 16}, Data: scales},
		".weight_scale_2": {DType: "F32", Data: binary.LittleEndian.AppendUint32(nil, math.Float32bits(factor))},
	})
	for _, f := range []FType{F16, Q4_K_M} {
		out := filepath.Join(t.TempDir(), "out.gguf")
		if err := Convert(t.Context(), dir, out, Options{Type: f}); err != nil {
			t.Fatal(err)
		}
		g := openGGUF(t, out)
		info, _ := g.Tensor("blk.0.ffn_up.weight")
		scale, _ := g.Tensor("blk.0.ffn_up.scale")
		if info.DType != quant.NVFP4 || scale.DType != tensor.F32 || !scale.Shape.Equal(tensor.Shape{1}) {
			t.Errorf("%v: up is %v, its factor %v %v", f, info.DType, scale.DType, scale.Shape)
			continue
		}
		if got := binary.LittleEndian.Uint32(contents(t, g, scale)); got != math.Float32bits(factor) {
			t.Errorf("%v: the factor has bits %#x", f, got)
		}
		x := make([]float32, n*n)
		if err := quant.Dequantize(info.DType, x, contents(t, g, info)); err != nil {
			t.Fatal(err)
		}
		values := []float32{0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5, -1, -1.5, -2, -3, -4, -6}
		for i, v := range x {
			s := scales[i/16]
			want := values[codes[i/2]>>(i%2*4)&15] * float32(math.Ldexp(1+float64(s&7)/8, int(s>>3)-7))
			if v != want {
				t.Fatalf("%v: element %d is %v, want %v", f, i, v, want)
			}
		}
		err := Quantize(t.Context(), out, out+"2", Options{Type: Q8_0, AllowRequantize: true})
		if err == nil || !strings.Contains(err.Error(), `"blk.0.ffn_up.weight" is NVFP4 with a factor beside it`) {
			t.Errorf("%v: error %v", f, err)
		}
	}
}
