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
	"testing/fstest"
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
	const own = "example.com/own"
	t.Cleanup(func() { sets = nil })
	RegisterZip("gfx1100", own, zipped(t, map[string]string{"add.co": "A", "rms_norm.co": "R", "notes.txt": "N"}))
	RegisterZip("sm_80", own, zipped(t, map[string]string{"add.ptx": "eighty"}))
	RegisterZip("sm_90", own, zipped(t, map[string]string{"add.ptx": "ninety"}))
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
		if _, err := s.Read("nothing"); !errors.Is(err, ErrNone) ||
			!strings.Contains(err.Error(), "nothing for "+c.target) {
			t.Errorf("%s: error %v", c.device, err)
		}
	}
	s, _ := For("gfx1100", "")
	if names := s.Names(); !slices.Equal(names, []string{"add", "rms_norm"}) {
		t.Errorf("objects %q", names)
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
}

// files returns a file system with the given files, each with its name as its contents.
func files(names ...string) fstest.MapFS {
	m := fstest.MapFS{}
	for _, n := range names {
		m[n] = &fstest.MapFile{Data: []byte(n)}
	}
	return m
}

// A device finds the objects of all owners for its target, and of each owner the best that it can run.
func TestOwners(t *testing.T) {
	t.Cleanup(func() { sets = nil })
	Register("gfx1100", "example.com/a", files("add.co", "mul.co"))
	Register("gfx1201", "example.com/a", files("add.co", "mul.co"))
	Register("sm_80", "example.com/a", files("add.ptx"))
	Register("sm_90", "example.com/a", files("add.ptx"))
	Register("gfx1100", "example.com/b", files("snake.co", "notes.txt"))
	Register("sm_80", "example.com/b", files("snake.ptx"))
	Register("gfx1300", "example.com/b", files("snake.co"))
	for _, c := range []struct {
		device, target string
		names          []string
	}{
		{"gfx1100", "gfx1100", []string{"add", "mul", "snake"}},
		{"gfx1201", "gfx1201", []string{"add", "mul"}},
		{"gfx1300", "gfx1300", []string{"snake"}},
		{"sm_80", "sm_80", []string{"add", "snake"}},
		{"sm_100", "sm_90", []string{"add", "snake"}},
	} {
		s, err := For(c.device, "")
		if err != nil || s.Target != c.target || !slices.Equal(s.Names(), c.names) {
			t.Errorf("%s: %q for %q, %v", c.device, s.Names(), s.Target, err)
		}
		for _, name := range c.names {
			if b, err := s.Read(name); err != nil || string(b) != name+Ext(c.target) {
				t.Errorf("%s: %s is %q, %v", c.device, name, b, err)
			}
		}
	}
	if got := Targets(); !slices.Equal(got, []string{"gfx1100", "gfx1201", "gfx1300", "sm_80", "sm_90"}) {
		t.Errorf("targets %q", got)
	}
}

func TestRegisterRefuses(t *testing.T) {
	t.Cleanup(func() { sets = nil })
	Register("gfx1100", "example.com/a", files("add.co"))
	for _, c := range []struct {
		target, owner string
		objects       fstest.MapFS
		want          string
	}{
		{"gfx1100", "example.com/a", files("mul.co"), "example.com/a registers objects for gfx1100 twice"},
		{"gfx1100", "example.com/b", files("add.co"),
			"example.com/b registers object add for gfx1100, but that name is taken by example.com/a"},
		{"gfx1201", "example.com/b", files("add.co"), "taken by example.com/a"},
		{"gfx1100", "example.com/b", files("snake.ptx"), "example.com/b has no *.co among its objects for gfx1100"},
		{"sm_80", "example.com/b", files("snake.co"), "has no *.ptx"},
		{"gfx1100", "", files("snake.co"), "need a name"},
		{"", "example.com/b", files("snake.co"), "need a name"},
	} {
		if err := register(c.target, c.owner, c.objects); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s of %s: error %v, want %q", c.target, c.owner, err, c.want)
		}
	}
	for what, f := range map[string]func(){
		"duplicate": func() { Register("gfx1100", "example.com/a", files("mul.co")) },
		"no zip":    func() { RegisterZip("gfx1100", "example.com/b", []byte("y")) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", what)
				}
			}()
			f()
		}()
	}
	if s, err := For("gfx1100", ""); err != nil || !slices.Equal(s.Names(), []string{"add"}) {
		t.Errorf("objects %q, %v after refusals", s.Names(), err)
	}
}
