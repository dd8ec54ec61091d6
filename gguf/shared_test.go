package gguf

import (
	"bytes"
	"os"
	"path"
	"path/filepath"
	"testing"

	"github.com/hipengine/hipengine/internal/testfiles"
	"github.com/hipengine/hipengine/tensor"
)

// TestEmber reads a file that llama.cpp wrote and checks what its description says.
func TestEmber(t *testing.T) {
	f, err := Open(testfiles.Path(t, "builtin-model/ember-Q4_K_M.gguf"))
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
	for key, want := range map[string]uint64{"qwen35.block_count": 8, "qwen35.embedding_length": 256,
		"qwen35.attention.key_length": 256} {
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
	files := []string{"builtin-model/ember-Q8_0.gguf", "builtin-model/ember-Q4_K_M.gguf"}
	for _, name := range testfiles.GGUFs {
		files = append(files, "gguf-fixtures/"+name+".gguf")
	}
	for _, file := range files {
		t.Run(path.Base(file), func(t *testing.T) {
			file := testfiles.Path(t, file)
			f, err := Open(file)
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
			want, err := os.ReadFile(file)
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
