package convert

import (
	"bytes"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/internal/testfiles"
	"github.com/hipengine/hipengine/models/hf"
	"github.com/hipengine/hipengine/tensor"
)

// evenImatrix weighs the columns of all matrices of a folder by their place.
func evenImatrix(f *hf.Folder) *Imatrix {
	m := &Imatrix{Entries: map[string]ImatrixEntry{}}
	for _, t := range f.Tensors() {
		n := 1
		if len(t.Shape) > 2 {
			n = t.Shape[0]
		}
		e := ImatrixEntry{Sums: make([]float32, n*t.Shape.Last()), Counts: []float32{2}}
		for i := range e.Sums {
			e.Sums[i] = float32(i*31%97) + 1
		}
		m.Entries[t.Name] = e
	}
	return m
}

// TestQuantized reads folders as they would be after convert and quantize, and compares with the file that those
// write: every tensor, in order, read as a whole and in pieces that begin and end anywhere.
func TestQuantized(t *testing.T) {
	for i, name := range testfiles.Models {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && (i%2 > 0 || slices.Contains([]string{"gemma4", "qwen3moe", "qwen35moe"}, name)) {
				t.Skip("SKIPPED: -short leaves every second model and the largest to make long")
			}
			dir, tmp := testfiles.Model(t, name), t.TempDir()
			f, err := hf.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			whole := filepath.Join(tmp, "bf16.gguf")
			if err := Convert(t.Context(), dir, whole, Options{Type: BF16}); err != nil {
				t.Fatal(err)
			}
			others := []Options{{Type: Q8_0}, {Type: Q3_K_S}, {Type: IQ3_XXS, Imatrix: evenImatrix(f)},
				{Type: MXFP4MoE}, {Type: Q5_0}}
			types := []Options{{Type: Q4_K_M, Threads: 3}, others[i%len(others)]}
			if testing.Short() {
				t.Log("SKIPPED: -short leaves a second type for each model to make long")
				types = types[1:]
			}
			for _, o := range types {
				t.Run(o.Type.String(), func(t *testing.T) {
					path := filepath.Join(tmp, o.Type.String()+".gguf")
					if err := Quantize(t.Context(), whole, path, o); err != nil {
						t.Fatal(err)
					}
					q, err := NewQuantized(f, o)
					if err != nil {
						t.Fatal(err)
					}
					compareSources(t, openGGUF(t, path), q)
				})
			}
			// Quantize leaves small matrices as they are, Convert gives them the type that was asked for.
			t.Run("f16", func(t *testing.T) {
				path := filepath.Join(tmp, "f16.gguf")
				if err := Convert(t.Context(), dir, path, Options{Type: F16}); err != nil {
					t.Fatal(err)
				}
				q, err := NewQuantized(f, Options{Type: F16})
				if err != nil {
					t.Fatal(err)
				}
				compareSources(t, openGGUF(t, path), q)
			})
		})
	}
}

// compareSources checks that got presents the tensors of want.
func compareSources(t *testing.T, want *gguf.File, got *Quantized) {
	t.Helper()
	if len(got.Tensors()) != len(want.Tensors) {
		t.Fatalf("%d tensors, want %d", len(got.Tensors()), len(want.Tensors))
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for i, w := range want.Tensors {
		g := got.Tensors()[i]
		if byName, ok := got.Tensor(w.Name); !ok || byName.Size != g.Size || g.Name != w.Name || g.DType != w.DType ||
			g.Size != w.Size || !g.Shape.Equal(w.Shape) {
			t.Errorf("tensor %d is %s %v %v of %d bytes, the file has %s %v %v of %d", i, g.Name, g.DType, g.Shape,
				g.Size, w.Name, w.DType, w.Shape, w.Size)
			continue
		}
		b := contents(t, want, w)
		all, pieces := make([]byte, len(b)), make([]byte, len(b))
		if err := got.ReadTensor(g, all, 0); err != nil {
			t.Fatal(err)
		}
		for off := 0; off < len(b); {
			n := min(rng.IntN(len(b)/3+2), len(b)-off)
			if err := got.ReadTensor(g, pieces[off:off+n], int64(off)); err != nil {
				t.Fatal(err)
			}
			off += n
		}
		if !bytes.Equal(all, b) || !bytes.Equal(pieces, b) {
			t.Errorf("%s %v: contents differ from the file's: as a whole %t, in pieces %t", w.Name, w.DType,
				!bytes.Equal(all, b), !bytes.Equal(pieces, b))
		}
	}
}

// TestQuantizedRefusals covers what cannot be presented or read.
func TestQuantizedRefusals(t *testing.T) {
	f, err := hf.Open(makeFolder(t, qwen2Shapes()))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for name, c := range map[string]struct {
		o    Options
		want string
	}{
		"no imatrix":           {Options{Type: IQ2_XXS}, "importance matrix"},
		"tensor not in matrix": {Options{Type: IQ2_XXS, Imatrix: &Imatrix{}}, "none has this tensor"},
		"matrix of another model": {Options{Type: Q4_K_M, Imatrix: &Imatrix{Entries: map[string]ImatrixEntry{
			"blk.0.attn_q.weight": {Sums: make([]float32, 7), Counts: []float32{1}}}}}, "7 sums"},
		"unknown type": {Options{Type: 1000}, "unknown type"},
	} {
		if _, err := NewQuantized(f, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
	q, err := NewQuantized(f, Options{Type: Q4_K_M})
	if err != nil {
		t.Fatal(err)
	}
	info, _ := q.Tensor("blk.0.ffn_up.weight")
	for name, err := range map[string]error{
		"beyond the end": q.ReadTensor(info, make([]byte, 2), info.Size-1),
		"negative":       q.ReadTensor(info, make([]byte, 2), -1),
		"unknown":        q.ReadTensor(gguf.TensorInfo{Name: "x", DType: tensor.F32}, make([]byte, 2), 0),
	} {
		if err == nil {
			t.Errorf("%s was read", name)
		}
	}
	if _, ok := q.Tensor("x"); ok {
		t.Error("there is a tensor x")
	}
}
