package convert

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/internal/testfiles"
	"github.com/hipengine/hipengine/models"
	_ "github.com/hipengine/hipengine/models/arch/all"
	"github.com/hipengine/hipengine/models/hf"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
	"github.com/hipengine/hipengine/text/tokenizer"
)

func openGGUF(t testing.TB, path string) *gguf.File {
	t.Helper()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func contents(t testing.TB, f *gguf.File, info gguf.TensorInfo) []byte {
	t.Helper()
	b := make([]byte, info.Size)
	if err := f.ReadTensor(info, b, 0); err != nil {
		t.Fatal(err)
	}
	return b
}

// compareFiles compares tensors, in order, byte for byte, and keys of two files. Keys in but may differ.
func compareFiles(t *testing.T, want, got *gguf.File, but ...string) {
	t.Helper()
	if len(want.Tensors) != len(got.Tensors) {
		t.Fatalf("%d tensors, want %d", len(got.Tensors), len(want.Tensors))
	}
	total := 0
	for i, w := range want.Tensors {
		g := got.Tensors[i]
		if w.Name != g.Name || w.DType != g.DType || !w.Shape.Equal(g.Shape) {
			t.Fatalf("tensor %d is %s %v %v, want %s %v %v", i, g.Name, g.DType, g.Shape, w.Name, w.DType, w.Shape)
		}
		a, b := contents(t, want, w), contents(t, got, g)
		total += len(a)
		if !bytes.Equal(a, b) {
			n := 0
			for j := range a {
				if a[j] != b[j] {
					n++
				}
			}
			t.Errorf("%s: %d of %d bytes differ", w.Name, n, len(a))
		}
	}
	t.Logf("%d tensors of %d bytes compared", len(want.Tensors), total)
	for _, key := range want.Meta.Keys() {
		w, _ := want.Meta.Value(key)
		g, ok := got.Meta.Value(key)
		if !slices.Contains(but, key) && (!ok || gguf.TypeName(w) != gguf.TypeName(g) || !equal(w, g)) {
			t.Errorf("key %s is %s, want %s", key, short(g), short(w))
		}
	}
	for _, key := range got.Meta.Keys() {
		if !want.Meta.Has(key) && !slices.Contains(but, key) && !strings.HasPrefix(key, "hipengine.") {
			t.Errorf("key %s is not in the original", key)
		}
	}
}

// short prints the beginning of a value.
func short(v any) string {
	s := fmt.Sprint(v)
	return s[:min(len(s), 60)]
}

func equal(a, b any) bool {
	switch a := a.(type) {
	case []string:
		b, ok := b.([]string)
		return ok && slices.Equal(a, b)
	case []int32:
		b, ok := b.([]int32)
		return ok && slices.Equal(a, b)
	}
	return a == b
}

// TestEmber converts the built-in model from its folder to F16 and quantizes that, which is how llama.cpp's tools made
// the files beside it: all tensors must be the same bytes in the same order.
func TestEmber(t *testing.T) {
	dir, tmp := testfiles.Path(t, "builtin-model"), t.TempDir()
	f16 := filepath.Join(tmp, "f16.gguf")
	if err := Convert(t.Context(), dir, f16, Options{Type: F16}); err != nil {
		t.Fatal(err)
	}
	for _, typ := range []string{"Q8_0", "Q4_K_M"} {
		t.Run(typ, func(t *testing.T) {
			if testing.Short() && typ == "Q4_K_M" {
				t.Skip("SKIPPED: -short leaves one of two types to make long")
			}
			ftype, err := ParseFType(typ)
			if err != nil {
				t.Fatal(err)
			}
			out := filepath.Join(tmp, typ+".gguf")
			var last, total int64
			err = Quantize(t.Context(), f16, out, Options{Type: ftype, Progress: func(d, n int64) {
				if d < last {
					t.Errorf("progress went from %d to %d", last, d)
				}
				last, total = d, n
			}})
			if err != nil {
				t.Fatal(err)
			}
			if last != total || total == 0 {
				t.Errorf("progress ended at %d of %d", last, total)
			}
			// The original was named by hand, and its markers of reasoning and tools were made user-defined tokens,
			// which tokenizer.json calls special.
			want, got := openGGUF(t, filepath.Join(dir, "ember-"+typ+".gguf")), openGGUF(t, out)
			compareFiles(t, want, got, "general.name", "tokenizer.ggml.token_type")
			a, err1 := want.Meta.Ints("tokenizer.ggml.token_type")
			b, err2 := got.Meta.Ints("tokenizer.ggml.token_type")
			if err := errors.Join(err1, err2); err != nil || len(a) != len(b) {
				t.Fatalf("%d token types, want %d (%v)", len(b), len(a), err)
			}
			for i := range a {
				if a[i] != b[i] && (a[i] != int64(tokenizer.UserDefined) || b[i] != int64(tokenizer.Control)) {
					t.Errorf("token %d has type %d, want %d", i, b[i], a[i])
				}
			}
		})
	}
}

// TestFolderAndFileAgree converts tiny models of all families, and checks that the file holds what the folder presents
// and that its tokenizer encodes as the folder's does.
func TestFolderAndFileAgree(t *testing.T) {
	for _, name := range testfiles.Models {
		t.Run(name, func(t *testing.T) {
			dir, out := testfiles.Model(t, name), filepath.Join(t.TempDir(), name+".gguf")
			if err := Convert(t.Context(), dir, out, Options{Type: BF16}); err != nil {
				t.Fatal(err)
			}
			folder, err := hf.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer folder.Close()
			file := openGGUF(t, out)
			for _, w := range folder.Tensors() {
				g, ok := file.Tensor(w.Name)
				if !ok || w.DType != g.DType || !w.Shape.Equal(g.Shape) {
					t.Fatalf("%s: %v %v in the folder, %v %v in the file", w.Name, w.DType, w.Shape, g.DType, g.Shape)
				}
				want := make([]byte, w.Size)
				if err := folder.ReadTensor(w, want, 0); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(want, contents(t, file, g)) {
					t.Errorf("%s: contents differ", w.Name)
				}
			}
			sameTokens(t, folder.Vocab, file.Meta)
			m, err := models.New(file.Meta)
			var unknown *models.UnknownArchError
			if errors.As(err, &unknown) {
				t.Skipf("SKIPPED: converted, but nothing here runs architecture %q", unknown.Arch)
			}
			if err == nil {
				err = models.Check(m, file)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// texts are cases where tokenizers like to disagree.
var texts = []string{
	"", " ", "Hello, world!", "  two  spaces\n\nand\tlines\r\n", "don't 'S we'LL", "1234567 3.14",
	"naïve café Ærøskøbing",
	"日本語 und 中文", "नमस्ते", "🙂👍🏽", "<|im_start|>user\nhi<|im_end|>", "</s><s>[INST]", "a\u0301b", "x\u00a0y",
	"\u2581mark", "∑∂ƒ §",
}

// sameTokens compares the tokenizer of a folder with that of the file made from it.
func sameTokens(t *testing.T, v tokenizer.Vocab, meta *gguf.Meta) {
	t.Helper()
	want, err := tokenizer.New(v)
	if err != nil {
		t.Fatal(err)
	}
	fromFile, err := tokenizer.FromGGUF(meta)
	if err != nil {
		t.Fatal(err)
	}
	got, err := tokenizer.New(fromFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range texts {
		for _, o := range []tokenizer.Options{{}, {AddSpecial: true, ParseSpecial: true}} {
			w, err1 := want.Encode(text, o)
			g, err2 := got.Encode(text, o)
			if err := errors.Join(err1, err2); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(w, g) {
				t.Errorf("%q %+v: file gives %v, folder %v", text, o, g, w)
			}
		}
	}
	if !slices.Equal(want.EOG(), got.EOG()) {
		t.Errorf("file ends generations at %v, folder at %v", got.EOG(), want.EOG())
	}
}

// TestThreads checks that the number of workers does not change the bytes.
func TestThreads(t *testing.T) {
	in, tmp := "../../testdata/gguf/llama-Q4_K_M.gguf", t.TempDir()
	var files [][]byte
	for _, n := range []int{1, 7} {
		out := filepath.Join(tmp, "out.gguf")
		if err := Quantize(t.Context(), in, out,
			Options{Type: Q5_K_M, AllowRequantize: true, Threads: n}); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, b)
	}
	if !bytes.Equal(files[0], files[1]) {
		t.Error("files of 1 and 7 threads differ")
	}
}

// TestRefusals covers what Quantize must not do, and that nothing is left behind.
func TestRefusals(t *testing.T) {
	const in = "../../testdata/gguf/llama-Q4_K_M.gguf"
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		name, want string
		ctx        context.Context
		in         string
		o          Options
	}{
		{"requantize", "already", t.Context(), in, Options{Type: Q8_0}},
		{"no imatrix", "importance matrix", t.Context(), in, Options{Type: IQ2_XXS, AllowRequantize: true}},
		{"no imatrix for Q2_K_S", "importance matrix", t.Context(), in, Options{Type: Q2_K_S, AllowRequantize: true}},
		{"tensor not in imatrix", "none has this tensor", t.Context(), in,
			Options{Type: IQ2_XXS, AllowRequantize: true, Imatrix: &Imatrix{}}},
		{"unknown type", "unknown type", t.Context(), in, Options{Type: 1000}},
		{"missing file", "no such file", t.Context(), "nowhere.gguf", Options{Type: Q8_0}},
		{"canceled", "context canceled", canceled, in, Options{Type: Q8_0, AllowRequantize: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			err := Quantize(c.ctx, c.in, filepath.Join(dir, "out.gguf"), c.o)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
			if left, _ := os.ReadDir(dir); len(left) > 0 {
				t.Errorf("%s is left behind", left[0].Name())
			}
		})
	}
}

// TestImatrixRoundTrip writes a matrix and uses it: expert by expert, and from the old format.
func TestImatrixRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.gguf")
	m := &Imatrix{Datasets: []string{"text"}, Chunks: 3, ChunkSize: 512, Entries: map[string]ImatrixEntry{
		"blk.0.attn_q.weight":        {Sums: []float32{2, 4}, Counts: []float32{2}},
		"blk.0.ffn_down_exps.weight": {Sums: []float32{3, 6, 0, 0}, Counts: []float32{3, 0}},
	}}
	if err := m.Write(path); err != nil {
		t.Fatal(err)
	}
	got, err := ReadImatrix(path)
	if err != nil {
		t.Fatal(err)
	}
	if got.Chunks != 3 || got.ChunkSize != 512 || !slices.Equal(got.Datasets, m.Datasets) || len(got.Entries) != 2 {
		t.Errorf("read %+v", got)
	}
	for _, c := range []struct {
		info gguf.TensorInfo
		want []float32
	}{
		{gguf.TensorInfo{Name: "blk.0.attn_q.weight", Shape: tensor.Shape{5, 2}}, []float32{1, 2}},
		{gguf.TensorInfo{Name: "blk.0.ffn_down_exps.weight", Shape: tensor.Shape{2, 5, 2}}, []float32{1, 2, 1, 1}},
		{gguf.TensorInfo{Name: "output.weight", Shape: tensor.Shape{2, 2}}, nil},
	} {
		if w, err := got.weights(c.info); err != nil || !slices.Equal(w, c.want) {
			t.Errorf("%s: %v, %v; want %v", c.info.Name, w, err, c.want)
		}
	}
	if _, err := got.weights(gguf.TensorInfo{Name: "blk.0.attn_q.weight", Shape: tensor.Shape{5, 3}}); err == nil {
		t.Error("a matrix of other columns was taken")
	}
	legacy := []byte("\x01\x00\x00\x00\x01\x00\x00\x00a\x02\x00\x00\x00\x02\x00\x00\x00\x00\x00\x80\x3f\x00\x00\x00\x40")
	old, err := readLegacy(bytes.NewReader(legacy))
	if err != nil || !slices.Equal(old.Entries["a"].Sums, []float32{1, 2}) || old.Entries["a"].Counts[0] != 2 {
		t.Errorf("old format: %+v, %v", old, err)
	}
	for n := range legacy {
		if _, err := readLegacy(bytes.NewReader(legacy[:n])); err == nil {
			t.Errorf("%d bytes of %d were taken", n, len(legacy))
		}
	}
}

// TestImatrixReachesExperts quantizes a stack of experts with weights of their own, and compares with each expert
// quantized alone.
func TestImatrixReachesExperts(t *testing.T) {
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.gguf"), filepath.Join(dir, "out.gguf")
	const experts, rows, cols = 3, 4, 256
	x := make([]float32, experts*rows*cols)
	for i := range x {
		x[i] = float32(i*7919%1000)/1000 - 0.5
	}
	sums := make([]float32, experts*cols)
	for i := range sums {
		sums[i] = float32(i*31%97) + 1
	}
	info := gguf.TensorInfo{Name: "blk.0.ffn_up_exps.weight", DType: tensor.F32,
		Shape: tensor.Shape{experts, rows, cols}}
	meta := &gguf.Meta{}
	if err := errors.Join(meta.Set("general.architecture", "test"),
		meta.Set("test.expert_count", uint32(experts))); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 4*len(x))
	if err := quant.Quantize(tensor.F32, b, x, cols, nil); err != nil {
		t.Fatal(err)
	}
	w, err := gguf.Create(in, meta, []gguf.TensorInfo{info}, gguf.WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.WriteTensor(info.Name, b), w.Close()); err != nil {
		t.Fatal(err)
	}
	m := &Imatrix{Entries: map[string]ImatrixEntry{info.Name: {Sums: sums, Counts: []float32{1, 1, 1}}}}
	if err := Quantize(t.Context(), in, out, Options{Type: Q4_K_S, Imatrix: m}); err != nil {
		t.Fatal(err)
	}
	f := openGGUF(t, out)
	got := contents(t, f, f.Tensors[0])
	var want []byte
	for e := range experts {
		part := make([]byte, len(got)/experts)
		if err := quant.Quantize(quant.Q4_K, part, x[e*rows*cols:][:rows*cols], cols,
			sums[e*cols:][:cols]); err != nil {
			t.Fatal(err)
		}
		want = append(want, part...)
	}
	if !bytes.Equal(got, want) {
		t.Error("experts differ from those quantized alone")
	}
}
