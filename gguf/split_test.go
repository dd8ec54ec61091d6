package gguf

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hipengine/hipengine/tensor"
)

func TestSplitPath(t *testing.T) {
	if got := SplitPath("dir/m", 1, 12); got != "dir/m-00002-of-00012.gguf" {
		t.Errorf("got %s", got)
	}
	for path, ok := range map[string]bool{
		"dir/m-00002-of-00012.gguf": true, "a-00001-of-00001.gguf": true, "a-99999-of-99999.gguf": true,
		"-00001-of-00002.gguf": false, "m.gguf": false, "m-00000-of-00002.gguf": false, "m-00003-of-00002.gguf": false,
		"m-0001-of-0002.gguf": false, "m-00001-of-00002.bin": false, "m-+0001-of-00002.gguf": false, "": false,
	} {
		prefix, no, count, got := ParseSplitPath(path)
		if got != ok || ok && SplitPath(prefix, no, count) != path {
			t.Errorf("%s: %q, %d, %d, %v", path, prefix, no, count, got)
		}
	}
}

// splitModel writes a model in three parts and returns their paths.
func splitModel(t *testing.T) []string {
	m := smallMeta(t)
	m.mustSet(keyAlignment, uint32(64))
	m.mustSet(keySplitCount, uint16(9)) // as of a file that was split otherwise
	ts := smallTensors()
	header := len(appendHeader(nil, 3, splitMeta(m, 0, 2, 0), ts[:2]))
	// The first part has room for two tensors (256 + 64 bytes), and so has the second one, but the last tensor
	// is made too large for it.
	ts[3].Shape = tensor.Shape{2, 30, 40, 5}
	w := write(t, filepath.Join(t.TempDir(), "m.gguf"), m, ts,
		WriterOptions{MaxPartSize: align(int64(header), 64) + 320})
	return w.Paths()
}

func TestSplitRoundTrip(t *testing.T) {
	paths := splitModel(t)
	dir := filepath.Dir(paths[0])
	want := []string{"m-00001-of-00003.gguf", "m-00002-of-00003.gguf", "m-00003-of-00003.gguf"}
	if d := cmp.Diff(want, files(t, dir)); d != "" {
		t.Fatal(d)
	}
	f, err := Open(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var parts []int
	for _, info := range f.Tensors {
		parts = append(parts, info.Part)
	}
	if d := cmp.Diff([]int{0, 0, 1, 2}, parts); d != "" {
		t.Error(d)
	}
	checkPatterns(t, f, f.Tensors)
	if f.Meta.Len() != smallMeta(t).Len()+4 {
		t.Errorf("keys %v", f.Meta.Keys())
	}
	for k, want := range map[string]any{keySplitNo: uint16(0), keySplitCount: uint16(3), keySplitTensors: int32(4),
		"a.u8": uint8(200)} {
		if got, _ := f.Meta.Value(k); got != want {
			t.Errorf("%s = %v, want %v", k, got, want)
		}
	}
	for i, p := range f.Parts {
		info, err := os.Stat(p.Path)
		if err != nil || p.Path != paths[i] || p.Size != info.Size() || p.Data%64 != 0 {
			t.Errorf("part %d: %+v, %v", i, p, err)
		}
	}

	// Joined, only the split keys are gone.
	joined := filepath.Join(dir, "joined.gguf")
	w := write(t, joined, f.Meta, f.Tensors, WriterOptions{})
	g, err := Open(joined)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	checkPatterns(t, g, w.Tensors())
	if g.Meta.Has(keySplitNo) || g.Meta.Len() != smallMeta(t).Len()+1 {
		t.Errorf("keys %v", g.Meta.Keys())
	}
}

// TestSplitNotNeeded checks that a model that fits keeps its name.
func TestSplitNotNeeded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.gguf")
	w := write(t, path, smallMeta(t), smallTensors(), WriterOptions{MaxPartSize: 1 << 20})
	if d := cmp.Diff([]string{path}, w.Paths()); d != "" {
		t.Error(d)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Meta.Has(keySplitCount) {
		t.Error("split keys in a single file")
	}
}

func TestSplitErrors(t *testing.T) {
	write := func(path string, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	part := func(no, count u16, total i32, tensors ...string) []byte {
		b := raw(head(u64(len(tensors)), 3), keySplitNo, u32(2), no, keySplitCount, u32(2), count, keySplitTensors,
			u32(5), total)
		for i, name := range tensors {
			b = append(b, info(name, 1, u64(32*i), 1)...)
		}
		return pad(append(pad(b, 32), make([]byte, 32*len(tensors))...), 32)
	}
	for _, c := range []struct {
		name  string
		files map[string][]byte
		open  string
		want  string // with DIR for the directory
	}{
		{"second part", map[string][]byte{"m-00002-of-00003.gguf": part(1, 3, 2, "a")}, "m-00002-of-00003.gguf",
			"DIR/m-00002-of-00003.gguf: part 2 of a model split into 3; open the first part, DIR/m-00001-of-00003.gguf"},
		{"renamed second part", map[string][]byte{"x.gguf": part(1, 3, 2, "a")}, "x.gguf",
			"DIR/x.gguf: part 2 of a model split into 3; open the first part, *-00001-of-00003.gguf"},
		{"renamed first part", map[string][]byte{"x.gguf": part(0, 3, 2, "a")}, "x.gguf",
			"DIR/x.gguf: first part of a model split into 3 must be named like NAME-00001-of-00003.gguf"},
		{"first part named second", map[string][]byte{"m-00002-of-00003.gguf": part(0, 3, 2, "a")},
			"m-00002-of-00003.gguf",
			"DIR/m-00002-of-00003.gguf: first part of a model split into 3 must be named like NAME-00001-of-00003.gguf"},
		{"count in name", map[string][]byte{"m-00001-of-00002.gguf": part(0, 3, 2, "a")}, "m-00001-of-00002.gguf",
			"DIR/m-00001-of-00002.gguf: split.count is 3, the file name says 2"},
		{"part missing", map[string][]byte{"m-00001-of-00002.gguf": part(0, 2, 2, "a")}, "m-00001-of-00002.gguf",
			"open DIR/m-00002-of-00002.gguf: no such file or directory"},
		{"part of another model",
			map[string][]byte{"m-00001-of-00002.gguf": part(0, 2, 2, "a"),
				"m-00002-of-00002.gguf": part(2, 3, 2, "b")},
			"m-00001-of-00002.gguf", "DIR/m-00002-of-00002.gguf: split.no 2 and split.count 3, want 1 and 2"},
		{"part of a longer model",
			map[string][]byte{"m-00001-of-00002.gguf": part(0, 2, 2, "a"),
				"m-00002-of-00002.gguf": part(1, 3, 2, "b")},
			"m-00001-of-00002.gguf", "DIR/m-00002-of-00002.gguf: split.no 1 and split.count 3, want 1 and 2"},
		{"part without keys", map[string][]byte{"m-00001-of-00002.gguf": part(0, 2, 2, "a"),
			"m-00002-of-00002.gguf": handmade()},
			"m-00001-of-00002.gguf", "DIR/m-00002-of-00002.gguf: split.no 0 and split.count 0, want 1 and 2"},
		{"broken part", map[string][]byte{"m-00001-of-00002.gguf": part(0, 2, 2, "a"),
			"m-00002-of-00002.gguf": []byte("text")},
			"m-00001-of-00002.gguf", `DIR/m-00002-of-00002.gguf: no GGUF file: it starts with "text", want "GGUF" (at byte 0)`},
		{"same tensor twice", map[string][]byte{"m-00001-of-00002.gguf": part(0, 2, 2, "a"),
			"m-00002-of-00002.gguf": part(1, 2, 2, "b", "a")},
			"m-00001-of-00002.gguf", `DIR/m-00002-of-00002.gguf: tensor "a": duplicate name, it is in DIR/m-00001-of-00002.gguf already`},
		{"total", map[string][]byte{"m-00001-of-00002.gguf": part(0, 2, 5, "a"),
			"m-00002-of-00002.gguf": part(1, 2, 5, "b")},
			"m-00001-of-00002.gguf", "DIR/m-00001-of-00002.gguf: all parts together have 2 tensors, split.tensors.count says 5"},
		{"negative total", map[string][]byte{"m-00001-of-00002.gguf": part(0, 2, -1, "a")},
			"m-00001-of-00002.gguf", `DIR/m-00001-of-00002.gguf: key "split.tensors.count": found int32 -1, want an unsigned integer`},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, data := range c.files {
				write(filepath.Join(dir, name), data)
			}
			_, err := Open(filepath.Join(dir, c.open))
			if want := "gguf: " + strings.ReplaceAll(c.want, "DIR", dir); err == nil || err.Error() != want {
				t.Errorf("error\n%v, want\n%s", err, want)
			}
		})
	}
}

// TestFirstPartWithoutTensors is how llama.cpp splits with --no-tensor-first-split.
func TestFirstPartWithoutTensors(t *testing.T) {
	dir := t.TempDir()
	keys := func(no u16) []byte {
		return raw(keySplitNo, u32(2), no, keySplitCount, u32(2), u16(2), keySplitTensors, u32(5), i32(1))
	}
	first := raw(head(0, 4), "general.architecture", u32(8), "llama", keys(0))
	second := append(pad(raw(head(1, 3), keys(1), info("a", 1, 0, 16)), 32), pattern(32, 0)...)
	for i, data := range [][]byte{first, second} {
		if err := os.WriteFile(SplitPath(filepath.Join(dir, "m"), i, 2), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f, err := Open(SplitPath(filepath.Join(dir, "m"), 0, 2))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	checkPatterns(t, f, f.Tensors)
	if len(f.Tensors) != 1 || f.Tensors[0].Part != 1 {
		t.Errorf("tensors %v", f.Tensors)
	}
}
