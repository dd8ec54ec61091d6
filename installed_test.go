package hipengine

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestInstalled lists a folder as names find things in it, and finds similar names.
func TestInstalled(t *testing.T) {
	folder := t.TempDir()
	for name, size := range map[string]int{
		"mistral-7b.gguf": 10, "mistral-7b/config.json": 99, "llama/config.json": 2, "llama/model.safetensors": 30,
		"notes.txt":               5,
		"big-00001-of-00002.gguf": 7, "big-00002-of-00002.gguf": 8, ".hidden.gguf": 1, "empty/x": 1,
	} {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, make([]byte, size), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	all, err := Installed(folder)
	var names []string
	var bytes []int64
	for _, m := range all {
		names, bytes = append(names, m.Name), append(bytes, m.Bytes)
		if path, ok := Find(m.Name, folder); !ok || path != m.Path {
			t.Errorf("%s is %s, and found as %s", m.Name, m.Path, path)
		}
	}
	if err != nil || !slices.Equal(names, []string{"big-00001-of-00002", "llama", "mistral-7b"}) ||
		!slices.Equal(bytes, []int64{15, 32, 10}) {
		t.Errorf("%q of %d bytes, %v", names, bytes, err)
	}
	if all, err := Installed(filepath.Join(folder, "none")); err != nil || len(all) != 0 {
		t.Errorf("%v, %v", all, err)
	}
	t.Setenv("HF_HUB_CACHE", t.TempDir())
	for name, want := range map[string][]string{"mistral-8b": {"mistral-7b"}, "Mistrl-7B": {"mistral-7b"},
		"lama": {"llama"}, "emu": nil, "": nil} {
		if got := Similar(name, folder); !slices.Equal(got, want) {
			t.Errorf("%q is similar to %q, want %q", name, got, want)
		}
	}
}
