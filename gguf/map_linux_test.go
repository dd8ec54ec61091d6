package gguf

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestCloseUnmaps looks for the file in the memory map of the process.
func TestCloseUnmaps(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.gguf")
	if err := os.WriteFile(path, handmade(), 0o600); err != nil {
		t.Fatal(err)
	}
	mappings := func() int {
		maps, err := os.ReadFile("/proc/self/maps")
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Count(maps, []byte(path))
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := mappings(); n != 0 {
		t.Errorf("%d mappings before Map, want none: it is lazy", n)
	}
	for _, info := range f.Tensors {
		if _, err := f.Map(info); err != nil {
			t.Fatal(err)
		}
	}
	if n := mappings(); n != 1 {
		t.Errorf("%d mappings, want one of the whole part", n)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if n := mappings(); n != 0 {
		t.Errorf("%d mappings after Close", n)
	}
}
