package convert

import (
	"path/filepath"
	"testing"

	"github.com/hipengine/hipengine/internal/testfiles"
	"github.com/hipengine/hipengine/models/hf"
)

// BenchmarkConvert converts the built-in model; bytes are those of its folder in BF16.
func BenchmarkConvert(b *testing.B) {
	dir := testfiles.Path(b, "builtin-model")
	for _, f := range []FType{F16, Q8_0, Q4_K_M} {
		b.Run(f.String(), func(b *testing.B) {
			out := filepath.Join(b.TempDir(), "out.gguf")
			b.SetBytes(20_011_000)
			for b.Loop() {
				if err := Convert(b.Context(), dir, out, Options{Type: f}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRead reads all tensors of the built-in model from its folder in pieces of 4 MiB, as loaders do.
func BenchmarkRead(b *testing.B) {
	f, err := hf.Open(testfiles.Path(b, "builtin-model"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	p := make([]byte, 4<<20)
	total := int64(0)
	for _, t := range f.Tensors() {
		total += t.Size
	}
	b.SetBytes(total)
	for b.Loop() {
		for _, t := range f.Tensors() {
			for off := int64(0); off < t.Size; off += int64(len(p)) {
				if err := f.ReadTensor(t, p[:min(t.Size-off, int64(len(p)))], off); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
}
