package hf

import (
	"hash/fnv"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/hipengine/hipengine/internal/safetensors"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// stTensor is a tensor to be written to a safetensors file.
type stTensor struct {
	dtype string
	shape []int
	data  []byte
}

// encodeSafetensors lays out a file.
func encodeSafetensors(t testing.TB, ts map[string]stTensor) []byte {
	t.Helper()
	tensors := map[string]safetensors.Tensor{}
	for name, x := range ts {
		tensors[name] = safetensors.Tensor{DType: x.dtype, Shape: x.shape, Data: x.data}
	}
	file, err := safetensors.Encode(tensors)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func writeFile(t testing.TB, dir, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), data, 0o666); err != nil {
		t.Fatal(err)
	}
}

// copyFile copies a file of testdata into a folder.
func copyFile(t testing.TB, from, dir string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", from))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, dir, filepath.Base(from), b)
}

// sample values: multiples of 1/64 below 4, which BF16 and F16 hold exactly, different for each name.
func sampleAt(name string, i int) float32 {
	h := fnv.New32a()
	h.Write([]byte(name))
	return float32((uint32(i)*7+h.Sum32()%1009)%251) / 64
}

// encoded returns n values of f in a machine type of safetensors.
func encoded(t testing.TB, dtype string, n int, f func(i int) float32) []byte {
	t.Helper()
	x := make([]float32, n)
	for i := range x {
		x[i] = f(i)
	}
	d := machineTypes[dtype]
	format, _ := d.Format()
	b := make([]byte, n*format.Bytes)
	if err := quant.Quantize(d, b, x, max(n, 1), nil); err != nil {
		t.Fatal(err)
	}
	return b
}

// sampleTensor is a BF16 tensor of sample values.
func sampleTensor(t testing.TB, name string, shape ...int) stTensor {
	n := tensor.Shape(shape).Elems()
	return stTensor{"BF16", shape, encoded(t, "BF16", n, func(i int) float32 { return sampleAt(name, i) })}
}

// makeFolder writes a model folder with the tiny tokenizer of 512 tokens.
func makeFolder(t testing.TB, config string, ts map[string]stTensor) string {
	t.Helper()
	dir := t.TempDir()
	writeFile(t, dir, "config.json", []byte(config))
	writeFile(t, dir, "model.safetensors", encodeSafetensors(t, ts))
	copyFile(t, "tiny/tokenizer.json", dir)
	copyFile(t, "tiny/tokenizer_config.json", dir)
	return dir
}

// openFolder opens a folder and closes it with the test.
func openFolder(t testing.TB, dir string) *Folder {
	t.Helper()
	f, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// readFloats returns the values of a tensor by ReadTensor and checks ReadRows against them, up to the rounding that
// BF16 does to FP8.
func readFloats(t testing.TB, f *Folder, name string) []float32 {
	t.Helper()
	info, ok := f.Tensor(name)
	if !ok {
		t.Fatalf("there is no tensor %q", name)
	}
	b := make([]byte, info.Size)
	if err := f.ReadTensor(info, b, 0); err != nil {
		t.Fatal(err)
	}
	x := make([]float32, info.Shape.Elems())
	if err := quant.Dequantize(info.DType, x, b); err != nil {
		t.Fatal(err)
	}
	// In pieces that begin and end inside rows and elements.
	pieces := make([]byte, len(b))
	for off, n := 0, 1; off < len(b); off, n = off+n, n*3%1021+1 {
		n = min(n, len(b)-off)
		if err := f.ReadTensor(info, pieces[off:off+n], int64(off)); err != nil {
			t.Fatal(err)
		}
	}
	if string(pieces) != string(b) {
		t.Errorf("%s: read in pieces it differs", name)
	}
	rows := make([]float32, len(x))
	if err := f.ReadRows(info, rows, 0); err != nil {
		t.Fatal(err)
	}
	for i, v := range rows {
		if math.Abs(float64(v-x[i])) > math.Abs(float64(v))/256 {
			t.Errorf("%s: element %d is %v by ReadTensor, %v by ReadRows", name, i, x[i], v)
			break
		}
	}
	return x
}
