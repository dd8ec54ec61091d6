package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/hipengine/hipengine"
	"github.com/hipengine/hipengine/internal/testfiles"
	"github.com/hipengine/hipengine/models/convert"
)

// TestImatrix makes a matrix of Ember and quantizes with it to a type that needs one.
func TestImatrix(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: -short leaves it to make long: TestQuantCommands makes and uses a matrix too")
	}
	folder := testfiles.Path(t, "builtin-model")
	dir := t.TempDir()
	out, full, small := filepath.Join(dir, "imatrix.gguf"), filepath.Join(dir, "full.gguf"),
		filepath.Join(dir, "small.gguf")
	if r := command(t, "", "imatrix", "ember", writeText(t), out, "--chunk", "16", "--device", "cpu"); r.code != 0 ||
		!strings.Contains(r.out, "tensors") {
		t.Fatalf("exit %d, out %q, err %q", r.code, r.out, r.errOut)
	}
	m, err := convert.ReadImatrix(out)
	if err != nil {
		t.Fatal(err)
	}
	src, err := hipengine.OpenFile("ember", hipengine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	for _, i := range src.Tensors() {
		if len(i.Shape) != 2 || !strings.HasPrefix(i.Name, "blk.") || strings.Contains(i.Name, "conv1d") {
			continue
		}
		e, ok := m.Entries[i.Name]
		if !ok || len(e.Sums) != i.Shape.Last() || len(e.Counts) != 1 || e.Counts[0] != float32(m.Chunks*16) {
			t.Errorf("tensor %q: entry %t of %d sums, counts %v, want %d sums of %d tokens", i.Name, ok, len(e.Sums),
				e.Counts, i.Shape.Last(), m.Chunks*16)
		}
	}
	for _, args := range [][]string{
		{"convert", folder, full}, {"quantize", full, small, "--type", "iq3_xxs", "--imatrix", out},
	} {
		if r := command(t, "", args...); r.code != 0 {
			t.Errorf("%v: exit %d, err %q", args, r.code, r.errOut)
		}
	}
}
