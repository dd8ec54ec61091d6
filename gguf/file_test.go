package gguf

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

func TestNewReadsLayout(t *testing.T) {
	data := handmade()
	for _, version := range []byte{2, 3} {
		data[4] = version
		f, err := New(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		start := int64(len(data) - 160)
		want := []TensorInfo{
			{Name: "w", DType: quant.Q8_0, Shape: tensor.Shape{3, 32}, Offset: start, Size: 102},
			{Name: "bias", DType: tensor.F16, Shape: tensor.Shape{5}, Offset: start + 128, Size: 10},
		}
		if d := cmp.Diff(want, f.Tensors); d != "" {
			t.Error(d)
		}
		if f.Version != int(version) || f.Alignment != 32 {
			t.Errorf("version %d, alignment %d", f.Version, f.Alignment)
		}
		if d := cmp.Diff([]Part{{Size: int64(len(data)), Data: start}}, f.Parts); d != "" {
			t.Error(d)
		}
		if d := cmp.Diff([]string{"general.architecture", "llama.block_count", "ids"}, f.Meta.Keys()); d != "" {
			t.Error(d)
		}
		for k, want := range map[string]any{"general.architecture": "llama", "llama.block_count": uint32(7),
			"ids": []int32{-1, 2}} {
			if got, _ := f.Meta.Value(k); !cmp.Equal(got, want) {
				t.Errorf("%s = %v, want %v", k, got, want)
			}
		}
		got := make([]byte, 10)
		bias, _ := f.Tensor("bias")
		if err := f.ReadTensor(bias, got, 0); err != nil || !bytes.Equal(got, pattern(10, 2)) {
			t.Errorf("bias = %v, %v", got, err)
		}
		if _, ok := f.Tensor("nothing"); ok {
			t.Error("found a tensor that does not exist")
		}
	}
}

func TestOffsetsInAnyOrderWithGaps(t *testing.T) {
	b := pad(raw(head(2, 0), "a", u32(1), u64(16), u32(1), u64(96), "b", u32(1), u64(16), u32(1), u64(0)), 32)
	b = append(b, pattern(128, 0)...)
	f, err := NewBytes(b)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := f.Tensors[0], f.Tensors[1]; a.Offset-b.Offset != 96 {
		t.Errorf("offsets %d and %d", a.Offset, b.Offset)
	}
}

// TestAnyNonZeroByteIsTrue follows ggml, which reads a bool as one byte.
func TestAnyNonZeroByteIsTrue(t *testing.T) {
	f, err := NewBytes(raw(head(0, 2), "a", u32(7), u8(2), "b", u32(9), u32(7), u64(3), []byte{0, 255, 1}))
	if err != nil {
		t.Fatal(err)
	}
	if a, err := f.Meta.Bool("a"); !a || err != nil {
		t.Errorf("a = %v, %v", a, err)
	}
	if b, err := f.Meta.Bools("b"); !cmp.Equal(b, []bool{false, true, true}) || err != nil {
		t.Errorf("b = %v, %v", b, err)
	}
}

func TestNoTensorsNeedNoPadding(t *testing.T) {
	f, err := NewBytes(raw(head(0, 1), "k", u32(0), u8(1)))
	if err != nil || len(f.Tensors) != 0 || f.Meta.Len() != 1 {
		t.Fatalf("%+v, %v", f, err)
	}
}

func TestAlignment(t *testing.T) {
	b := raw(head(2, 1), "general.alignment", u32(4), u32(8),
		"a", u32(1), u64(1), u32(1), u64(0), "b", u32(1), u64(1), u32(1), u64(8))
	b = append(pad(b, 8), pattern(16, 0)...)
	f, err := NewBytes(b)
	if err != nil {
		t.Fatal(err)
	}
	if f.Alignment != 8 || f.Tensors[1].Offset != int64(len(b)-8) {
		t.Errorf("alignment %d, offset %d of %d", f.Alignment, f.Tensors[1].Offset, len(b))
	}
}

// TestAccess checks the three ways to the same bytes, on each kind of storage.
func TestAccess(t *testing.T) {
	data := handmade()
	path := filepath.Join(t.TempDir(), "m.gguf")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, open := range map[string]func() (*File, error){
		"file":   func() (*File, error) { return Open(path) },
		"reader": func() (*File, error) { return New(bytes.NewReader(data), int64(len(data))) },
		"bytes":  func() (*File, error) { return NewBytes(data) },
	} {
		t.Run(name, func(t *testing.T) {
			f, err := open()
			if err != nil {
				t.Fatal(err)
			}
			w, _ := f.Tensor("w")
			want := pattern(102, 1)
			p := make([]byte, 102)
			if err := f.ReadTensor(w, p, 0); err != nil || !bytes.Equal(p, want) {
				t.Errorf("ReadTensor: %v", err)
			}
			if err := f.ReadTensor(w, p[:2], 100); err != nil || !bytes.Equal(p[:2], want[100:]) {
				t.Errorf("ReadTensor of the tail: %v", err)
			}
			if p, err := io.ReadAll(f.Reader(w)); err != nil || !bytes.Equal(p, want) {
				t.Errorf("Reader: %v", err)
			}
			for range 2 {
				if p, err := f.Map(w); err != nil || !bytes.Equal(p, want) || cap(p) != 102 {
					t.Errorf("Map: %v, cap %d", err, cap(p))
				}
			}
			for _, c := range []struct {
				name string
				t    TensorInfo
				n    int
				off  int64
				want string
			}{
				{"past the end", w, 3, 100, `gguf: tensor "w": reading 3 bytes at 100 of 102`},
				{"negative", w, 3, -1, `gguf: tensor "w": reading 3 bytes at -1 of 102`},
				{"overflow", w, 3, 1<<63 - 2, `gguf: tensor "w": reading 3 bytes at 9223372036854775806 of 102`},
				{"foreign part", TensorInfo{Name: "x", Part: 1}, 0, 0, `gguf: tensor "x": part 1 of 1`},
				{"foreign offset", TensorInfo{Name: "x", Offset: 1 << 40, Size: 1}, 1, 0,
					`gguf: tensor "x": bytes 1099511627776 to 1099511627777 of a part of 384 bytes`},
			} {
				if err := f.ReadTensor(c.t, make([]byte, c.n), c.off); err == nil || err.Error() != c.want {
					t.Errorf("%s: error %v, want %s", c.name, err, c.want)
				}
				if c.t.Name == "x" {
					if _, err := f.Map(c.t); err == nil || err.Error() != c.want {
						t.Errorf("%s: Map error %v, want %s", c.name, err, c.want)
					}
					if _, err := io.ReadAll(f.Reader(c.t)); err == nil || err.Error() != c.want {
						t.Errorf("%s: Reader error %v, want %s", c.name, err, c.want)
					}
				}
			}
			for range 2 {
				if err := f.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			}
			if _, err := f.Map(w); err == nil || err.Error() != `gguf: tensor "w": file is closed` {
				t.Errorf("after Close: %v", err)
			}
		})
	}
}

func TestMapSharesMemory(t *testing.T) {
	data := handmade()
	f, err := NewBytes(data)
	if err != nil {
		t.Fatal(err)
	}
	p, err := f.Map(f.Tensors[0])
	if err != nil || &p[0] != &data[f.Tensors[0].Offset] {
		t.Errorf("Map copied: %v", err)
	}
}

// TestReadErrors checks that a failing disk is not called a broken file.
func TestReadErrors(t *testing.T) {
	var format *FormatError
	_, err := New(failing{io.ErrClosedPipe}, 1000)
	if !errors.Is(err, io.ErrClosedPipe) || errors.As(err, &format) {
		t.Errorf("error %v", err)
	}
	_, err = Open(filepath.Join(t.TempDir(), "none.gguf"))
	if !errors.Is(err, os.ErrNotExist) || errors.As(err, &format) {
		t.Errorf("error %v", err)
	}
	dir := t.TempDir()
	if _, err = Open(dir); err == nil || err.Error() != "gguf: "+dir+" is a directory" {
		t.Errorf("error %v", err)
	}
	if _, err = New(bytes.NewReader(nil), -1); err == nil || err.Error() != "gguf: negative size -1" {
		t.Errorf("error %v", err)
	}
	// A file that shrank after Stat.
	data := handmade()
	_, err = New(bytes.NewReader(data[:60]), int64(len(data)))
	if !errors.Is(err, io.EOF) || errors.As(err, &format) || err.Error() != "gguf: reading 384 bytes at 0: EOF" {
		t.Errorf("error %v", err)
	}
	// A disk that fails in the middle of a vocabulary.
	head := raw(head(0, 1), "a", u32(9), u32(8), u64(1), u64(100_000))
	_, err = New(failAfter{zeros{head}, 65536}, 1<<20)
	if want := `gguf: key 1 of 1: "a": string 0: reading 65536 bytes at 65536: io: read/write on closed pipe`; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

// failAfter is a reader whose bytes from n on cannot be read.
type failAfter struct {
	io.ReaderAt
	n int64
}

func (r failAfter) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > r.n {
		return 0, io.ErrClosedPipe
	}
	return r.ReaderAt.ReadAt(p, off)
}
