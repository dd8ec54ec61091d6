package gguf

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestNewParts reads a split model from memory as it is read from files, and refuses what is no whole model.
func TestNewParts(t *testing.T) {
	paths := splitModel(t)
	want, err := Open(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	defer want.Close()
	var parts []PartReader
	for _, p := range paths {
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, PartReader{p, bytes.NewReader(b), int64(len(b))})
	}
	got, err := NewParts(parts)
	if err != nil || !slices.EqualFunc(got.Tensors, want.Tensors, func(a,
		b TensorInfo) bool {
		return a.Name == b.Name && a.Part == b.Part
	}) {
		t.Fatalf("%+v, %v", got, err)
	}
	p := make([]byte, 8)
	if err := got.ReadTensor(got.Tensors[len(got.Tensors)-1], p, 0); err != nil {
		t.Error(err)
	}
	for name, broken := range map[string][]PartReader{
		"a model of no parts": nil, "in place of part 1 of 1": parts[:1],
		"in place of part 1 of": slices.Concat(parts[1:], parts[:1]),
		"negative":              {{"x", parts[0].R, -1}}, "2 tensors need": {{"x", parts[0].R, 20}},
	} {
		if _, err := NewParts(broken); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
