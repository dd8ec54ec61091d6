package gguf

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// write makes a model of patterns at path and returns the writer, closed.
func write(t testing.TB, path string, m *Meta, ts []TensorInfo, o WriterOptions) *Writer {
	t.Helper()
	w, err := Create(path, m, ts, o)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for i, info := range w.Tensors() {
		data := pattern(int(info.Size), byte(i))
		if i%2 == 0 {
			err = w.WriteTensor(info.Name, data)
		} else {
			err = w.CopyTensor(info.Name, io.MultiReader(bytes.NewReader(data), strings.NewReader("not read")))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return w
}

// files returns the names in dir.
func files(t *testing.T, dir string) []string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// checkPatterns demands the tensors that write wrote.
func checkPatterns(t *testing.T, f *File, want []TensorInfo) {
	t.Helper()
	if d := cmp.Diff(want, f.Tensors); d != "" {
		t.Error(d)
	}
	for i, info := range f.Tensors {
		p := make([]byte, info.Size)
		if err := f.ReadTensor(info, p, 0); err != nil || !bytes.Equal(p, pattern(len(p), byte(i))) {
			t.Errorf("tensor %q: wrong data, %v", info.Name, err)
		}
		if m, err := f.Map(info); err != nil || !bytes.Equal(p, m) {
			t.Errorf("tensor %q: wrong mapping, %v", info.Name, err)
		}
	}
}

func TestWriterMatchesHandmadeFile(t *testing.T) {
	m := &Meta{}
	m.mustSet("general.architecture", "llama")
	m.mustSet("llama.block_count", uint32(7))
	m.mustSet("ids", []int32{-1, 2})
	path := filepath.Join(t.TempDir(), "m.gguf")
	w, err := Create(path, m, []TensorInfo{
		{Name: "w", DType: quant.Q8_0, Shape: tensor.Shape{3, 32}},
		{Name: "bias", DType: tensor.F16, Shape: tensor.Shape{5}},
	}, WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.WriteTensor("w", pattern(102, 1)), w.WriteTensor("bias", pattern(10, 2)),
		w.Close()); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, handmade()) {
		t.Errorf("%v\n%x, want\n%x", err, got, handmade())
	}
}

func TestRoundTrip(t *testing.T) {
	for _, c := range []struct {
		name      string
		version   int
		alignment any
	}{{"v3", 3, nil}, {"v2", 2, nil}, {"alignment 64", 3, uint32(64)}, {"alignment 1", 3, uint16(1)}} {
		t.Run(c.name, func(t *testing.T) {
			m := smallMeta(t)
			if c.alignment != nil {
				m.mustSet(keyAlignment, c.alignment)
			}
			dir := t.TempDir()
			path := filepath.Join(dir, "m.gguf")
			w := write(t, path, m, smallTensors(), WriterOptions{Version: c.version})
			if d := cmp.Diff([]string{"m.gguf"}, files(t, dir)); d != "" {
				t.Error(d)
			}
			f, err := Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if d := cmp.Diff(m.Keys(), f.Meta.Keys()); d != "" {
				t.Error(d)
			}
			for _, k := range m.Keys() {
				want, _ := m.Value(k)
				if got, _ := f.Meta.Value(k); !cmp.Equal(got, want) {
					t.Errorf("%s = %#v, want %#v", k, got, want)
				}
			}
			checkPatterns(t, f, w.Tensors())
			if f.Version != c.version {
				t.Errorf("version %d, want %d", f.Version, c.version)
			}
		})
	}
}

func TestCreateRefuses(t *testing.T) {
	many := []TensorInfo{{Name: "a", DType: tensor.F16, Shape: tensor.Shape{1}},
		{Name: "a", DType: tensor.F16, Shape: tensor.Shape{1}}}
	odd := &Meta{}
	odd.mustSet(keyAlignment, uint32(24))
	one := func(name string, d tensor.DType, s ...int) []TensorInfo {
		return []TensorInfo{{Name: name, DType: d, Shape: s}}
	}
	for _, c := range []struct {
		name string
		meta *Meta
		ts   []TensorInfo
		o    WriterOptions
		want string
	}{
		{"version", nil, nil, WriterOptions{Version: 1}, "version 1, want 2 or 3"},
		{"alignment", odd, nil, WriterOptions{}, "general.alignment is 24, want a power of two below 2^32"},
		{"no name", nil, one("", tensor.F16, 1), WriterOptions{}, "empty tensor name"},
		{"long name", nil, one(strings.Repeat("n", 64), tensor.F16, 1), WriterOptions{},
			"tensor name of 64 bytes, the limit is 63"},
		{"duplicate", nil, many, WriterOptions{}, `tensor "a": duplicate name`},
		{"dimension", nil, one("a", tensor.F16, 2, 0), WriterOptions{}, `tensor "a": dimension 0 in shape [2 0]`},
		{"dimensions", nil, one("a", tensor.F16, 1, 1, 1, 1, 1), WriterOptions{},
			`tensor "a": 5 dimensions, the limit is 4`},
		{"row", nil, one("a", quant.Q8_0, 33), WriterOptions{},
			`tensor "a": row length 33 is not a multiple of the 32-element blocks of Q8_0`},
		{"type", nil, one("a", tensor.Invalid, 32), WriterOptions{}, `tensor "a": type invalid is not registered`},
		{"total", nil, one("a", tensor.F16, 1<<61), WriterOptions{}, `tensor "a": total size overflows`},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "m.gguf")
			_, err := Create(path, c.meta, c.ts, c.o)
			if want := "gguf: creating " + path + ": " + c.want; err == nil || err.Error() != want {
				t.Errorf("error\n%v, want\n%s", err, want)
			}
			if got := files(t, dir); len(got) > 0 {
				t.Errorf("left %v", got)
			}
		})
	}
	if _, err := Create(filepath.Join(t.TempDir(), "no", "m.gguf"), nil, nil, WriterOptions{}); !errors.Is(err,
		os.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

// TestWriterMisuse checks that a wrong call is an error, that it sticks, and that nothing stays behind.
func TestWriterMisuse(t *testing.T) {
	a := pattern(204, 0)
	for _, c := range []struct {
		name string
		do   func(w *Writer) error
		want string
	}{
		{"wrong name", func(w *Writer) error { return w.WriteTensor("scale", a) },
			`gguf: writing tensor "scale": the next tensor is "token_embd.weight"`},
		{"short data", func(w *Writer) error { return w.WriteTensor("token_embd.weight", a[:203]) },
			`gguf: writing tensor "token_embd.weight": 203 bytes of data, want 204`},
		{"short reader", func(w *Writer) error { return w.CopyTensor("token_embd.weight", bytes.NewReader(a[:100])) },
			`gguf: writing tensor "token_embd.weight": 100 bytes of data, want 204`},
		{"failing reader", func(w *Writer) error {
			return w.CopyTensor("token_embd.weight", io.NewSectionReader(failing{io.ErrClosedPipe}, 0, 204))
		}, `gguf: writing tensor "token_embd.weight": io: read/write on closed pipe`},
		{"missing tensors", func(w *Writer) error {
			if err := w.WriteTensor("token_embd.weight", a); err != nil {
				return err
			}
			return w.Close()
		}, `tensor "blk.0.ids" and 2 more are not written`},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "m.gguf")
			if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
				t.Fatal(err)
			}
			w, err := Create(path, smallMeta(t), smallTensors(), WriterOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer w.Abort()
			if got := files(t, dir); len(got) != 2 {
				t.Errorf("files %v, want the old one and a temporary one", got)
			}
			err = c.do(w)
			if err == nil || !strings.HasSuffix(err.Error(), c.want) {
				t.Errorf("error %v, want %s", err, c.want)
			}
			if again := w.WriteTensor("token_embd.weight", a); again != err {
				t.Errorf("later error %v, want the first one", again)
			}
			if again := w.Close(); again != err && again != nil {
				t.Errorf("Close: %v, want %v", again, err)
			}
			if got, _ := os.ReadFile(path); string(got) != "old" || len(files(t, dir)) != 1 {
				t.Errorf("left %v, old file is %q", files(t, dir), got)
			}
		})
	}
	t.Run("too many tensors", func(t *testing.T) {
		w, err := Create(filepath.Join(t.TempDir(), "m.gguf"), nil, nil, WriterOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Abort()
		if err := w.WriteTensor("a", nil); err == nil ||
			err.Error() != `gguf: writing tensor "a": all declared tensors are written` {
			t.Errorf("error %v", err)
		}
	})
	t.Run("after close", func(t *testing.T) {
		dir := t.TempDir()
		w, err := Create(filepath.Join(dir, "m.gguf"), nil, nil, WriterOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		w.Abort()
		if err := w.WriteTensor("a", nil); err == nil || err.Error() != `gguf: writing tensor "a": writer is closed` {
			t.Errorf("error %v", err)
		}
		if d := cmp.Diff([]string{"m.gguf"}, files(t, dir)); d != "" {
			t.Error(d)
		}
	})
	t.Run("abort", func(t *testing.T) {
		dir := t.TempDir()
		w, err := Create(filepath.Join(dir, "m.gguf"), nil, smallTensors(), WriterOptions{MaxPartSize: 1})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(w.WriteTensor("token_embd.weight", a), w.WriteTensor("blk.0.ids", a[:20])); err != nil {
			t.Fatal(err)
		}
		if got := files(t, dir); len(got) != 2 {
			t.Errorf("temporary files %v, want two", got)
		}
		w.Abort()
		if got := files(t, dir); len(got) != 0 {
			t.Errorf("left %v", got)
		}
	})
}

// TestWriterMemory writes a tensor much larger than what the writer may keep.
func TestWriterMemory(t *testing.T) {
	const size = 64 << 20
	path := filepath.Join(t.TempDir(), "m.gguf")
	n := allocated(func() {
		w, err := Create(path, nil, []TensorInfo{{Name: "a", DType: tensor.I8, Shape: tensor.Shape{size}}},
			WriterOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(w.CopyTensor("a", io.NewSectionReader(zeros{}, 0, size)), w.Close()); err != nil {
			t.Fatal(err)
		}
	})
	if n > maxWaste {
		t.Errorf("allocated %d bytes", n)
	}
}
