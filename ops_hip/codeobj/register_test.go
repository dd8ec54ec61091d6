package codeobj

import (
	"archive/zip"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// zipped returns a zip file with the given files.
func zipped(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for name, text := range files {
		f, err := w.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestSets(t *testing.T) {
	defer clear(targets)
	RegisterZip("gfx1100", zipped(t, map[string]string{"add.co": "A", "rms_norm.co": "R", "notes.txt": "N"}))
	RegisterZip("sm_80", zipped(t, map[string]string{"add.ptx": "eighty"}))
	RegisterZip("sm_90", zipped(t, map[string]string{"add.ptx": "ninety"}))
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "gfx1201"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "gfx1201", "add.co"), []byte("own"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := Targets(); !slices.Equal(got, []string{"gfx1100", "sm_80", "sm_90"}) {
		t.Errorf("targets %q", got)
	}
	for _, c := range []struct{ device, dir, target, add string }{
		{"gfx1100", "", "gfx1100", "A"},
		{"sm_80", "", "sm_80", "eighty"},
		{"sm_89", "", "sm_80", "eighty"},
		{"sm_90", "", "sm_90", "ninety"},
		{"sm_121", "", "sm_90", "ninety"},
		{"gfx1201", dir, "gfx1201", "own"},
	} {
		s, err := For(c.device, c.dir)
		if err != nil || s.Target != c.target {
			t.Errorf("%s: target %q, %v", c.device, s.Target, err)
			continue
		}
		if b, err := s.Read("add"); err != nil || string(b) != c.add {
			t.Errorf("%s: add is %q, %v", c.device, b, err)
		}
		if _, err := s.Read("nothing"); !errors.Is(err, ErrNone) || !strings.Contains(err.Error(), "nothing for "+c.target) {
			t.Errorf("%s: error %v", c.device, err)
		}
	}
	s, _ := For("gfx1100", "")
	if names, err := s.Names(); err != nil || !slices.Equal(names, []string{"add", "rms_norm"}) {
		t.Errorf("objects %q, %v", names, err)
	}
	for _, c := range []struct{ device, dir, want string }{
		{"gfx1101", "", "no kernels for gfx1101, only for gfx1100, sm_80, sm_90"},
		{"sm_75", "", "no kernels for sm_75"},
		{"sm_x", "", "no kernels"},
		{"", "", "no kernels"},
		{"gfx1100", dir, "only for gfx1201"},
		{"gfx1100", "/nowhere", "HIPENGINE_CODEOBJ"},
	} {
		if _, err := For(c.device, c.dir); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.device, err, c.want)
		}
	}
	for name, f := range map[string]func(){"duplicate": func() { Register("gfx1100", os.DirFS(".")) }, "no zip": func() { RegisterZip("x", []byte("y")) }} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}
