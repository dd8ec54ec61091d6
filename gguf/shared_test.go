package gguf

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/hipengine/hipengine/tensor"
)

// shared returns a path below the folder of shared test data next to the repository.
func shared(t *testing.T, elem ...string) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "shared", "README.md")); err == nil {
			return filepath.Join(append([]string{dir, "shared"}, elem...)...)
		}
	}
	t.Skip("SKIPPED: no folder shared/ with test models next to the repository")
	return ""
}

// TestEmber reads a file that llama.cpp wrote and checks what its description says.
func TestEmber(t *testing.T) {
	f, err := Open(shared(t, "builtin-model", "ember-Q8_0.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if len(f.Tensors) != 0x6c || f.Meta.Len() != 0x22 || f.Version != 3 { // bytes 4 to 23 of the file
		t.Errorf("%d tensors, %d keys, version %d", len(f.Tensors), f.Meta.Len(), f.Version)
	}
	if arch, err := f.Meta.String("general.architecture"); arch != "qwen35" || err != nil {
		t.Errorf("architecture %q, %v", arch, err)
	}
	for key, want := range map[string]uint64{"qwen35.block_count": 8, "qwen35.embedding_length": 256, "qwen35.attention.key_length": 256} {
		if got, err := f.Meta.Uint(key); got != want || err != nil {
			t.Errorf("%s = %d, %v, want %d", key, got, err, want)
		}
	}
	if tokens, err := f.Meta.Strings("tokenizer.ggml.tokens"); len(tokens) != 4096 || err != nil {
		t.Errorf("%d tokens, %v", len(tokens), err)
	}
	embd, ok := f.Tensor("token_embd.weight")
	if !ok || !embd.Shape.Equal(tensor.Shape{4096, 256}) {
		t.Errorf("token_embd.weight is %v", embd.Shape)
	}
}

// TestRewriteIsIdentical writes what was read from files of llama.cpp and demands the same bytes.
func TestRewriteIsIdentical(t *testing.T) {
	paths, err := filepath.Glob(shared(t, "gguf-fixtures", "*.gguf"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no fixtures, %v", err)
	}
	for _, path := range append(paths, shared(t, "builtin-model", "ember-Q8_0.gguf"), shared(t, "builtin-model", "ember-Q4_K_M.gguf")) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			f, err := Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			out := filepath.Join(t.TempDir(), "m.gguf")
			w, err := Create(out, f.Meta, f.Tensors, WriterOptions{Version: f.Version})
			if err != nil {
				t.Fatal(err)
			}
			defer w.Abort()
			for _, info := range f.Tensors {
				if err := w.CopyTensor(info.Name, f.Reader(info)); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%d bytes, want %d, first difference at %d", len(got), len(want), firstDifference(got, want))
			}
		})
	}
}

func firstDifference(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}
