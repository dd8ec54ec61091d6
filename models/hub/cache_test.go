package hub

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/internal/hubtest"
)

func TestParseRef(t *testing.T) {
	for name, want := range map[string]Ref{
		"hf:a/b":                     {Owner: "a", Name: "b"},
		"hf:a/b:Q4_K_M":              {Owner: "a", Name: "b", Quant: "Q4_K_M"},
		"hf:a/b.c-1@v1.0:UD-Q4_K_XL": {Owner: "a", Name: "b.c-1", Revision: "v1.0", Quant: "UD-Q4_K_XL"},
		"hf:a/b@x/d/e f.gguf":        {Owner: "a", Name: "b", Revision: "x", File: "d/e f.gguf"},
	} {
		if got, err := ParseRef(name); err != nil || got != want || got.String() != name {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	for _, name := range []string{"a/b", "hf:", "hf:a", "hf:/b", "hf:a/", "hf:a/b:", "hf:a/b/", "hf:a/b/../c",
		"hf:../b", "hf:a/b@", "hf:a/b@..",
		"hf:a/b@a..b", "hf:a--x/b", "hf:a/b:../../x", "hf:a/b//c", "hf:a/b/./c", "hf:a/b:Q4 K", "hf:a/b/c\\d",
		"hf:a/b@x:y:z", "hf:a/..b"} {
		if r, err := ParseRef(name); err == nil {
			t.Errorf("%s: %+v", name, r)
		} else if !strings.Contains(err.Error(), "want hf:OWNER/NAME") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParseRef(f *testing.F) {
	f.Add("hf:a/b@c:d")
	f.Add("hf:a/b/c/d.gguf")
	f.Fuzz(func(t *testing.T, name string) {
		r, err := ParseRef(name)
		if err != nil {
			return
		}
		if again, err := ParseRef(r.String()); err != nil || again != r || r.String() != name {
			t.Errorf("%q is %+v, then %+v, %v", name, r, again, err)
		}
		dir := Cache{"/cache"}.repo(r)
		if filepath.Dir(dir) != "/cache" || !strings.HasPrefix(filepath.Join(dir, r.File), dir) {
			t.Errorf("%q leads to %s", name, dir)
		}
	})
}

func TestChoose(t *testing.T) {
	files := []string{"a-Q4_K_M.gguf", "a-UD-Q4_K_XL.gguf", "a-Q8_0-00002-of-00002.gguf", "a-Q8_0-00001-of-00002.gguf",
		"mmproj-F16.gguf", "a_model_iq4_xs.gguf",
		"a.imatrix.gguf", "x/a-F16.gguf", "y/a-F16.gguf", "z-00001-of-00002.gguf", "config.json"}
	for name, want := range map[string]string{
		"hf:a/b":              "a-Q4_K_M.gguf",
		"hf:a/b:q4_k_m":       "a-Q4_K_M.gguf",
		"hf:a/b:Q4_K_XL":      "a-UD-Q4_K_XL.gguf",
		"hf:a/b:Q4-K-M":       "a-Q4_K_M.gguf",
		"hf:a/b:IQ4_XS":       "a_model_iq4_xs.gguf",
		"hf:a/b:Q8_0":         "a-Q8_0-00001-of-00002.gguf a-Q8_0-00002-of-00002.gguf",
		"hf:a/b/y/a-F16.gguf": "y/a-F16.gguf",
		"hf:a/b/config.json":  "config.json",
		"hf:a/b:Q4_K": "!no such quantization; there is hf:a/b:Q4_K_M, hf:a/b:Q8_0, hf:a/b:Q4_K_XL, hf:a/b:iq4_xs, " +
			"hf:a/b/x/a-F16.gguf, hf:a/b/y/a-F16.gguf",
		"hf:a/b:F16":                   "!means several files; there is hf:a/b/x/a-F16.gguf, hf:a/b/y/a-F16.gguf",
		"hf:a/b:fp16":                  "!means several files",
		"hf:a/b/z-00001-of-00002.gguf": "!1 of the 2 parts",
		"hf:a/b/no.gguf":               "!no such file",
	} {
		got, err := choose(mustRef(t, name), files)
		if bad, ok := strings.CutPrefix(want, "!"); ok {
			var e *SelectionError
			if !errors.As(err, &e) || !strings.Contains(err.Error(), bad) {
				t.Errorf("%s: %v, %v", name, got, err)
			}
		} else if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	shards := []string{"config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
		"x/y.json"}
	if got, err := choose(mustRef(t, "hf:a/b"), shards); err != nil || !slices.Equal(got, shards[:3]) {
		t.Errorf("of shards: %v, %v", got, err)
	}
	if got, err := choose(mustRef(t, "hf:a/b"), shards[:2]); err == nil ||
		!strings.Contains(err.Error(), "1 of the parts") {
		t.Errorf("of one shard: %v, %v", got, err)
	}
	if got, err := choose(mustRef(t, "hf:a/b"), []string{"README.md"}); err == nil {
		t.Errorf("of nothing: %v", got)
	}
	if got, err := choose(mustRef(t, "hf:a/b"), []string{"one.gguf"}); err != nil || !slices.Equal(got,
		[]string{"one.gguf"}) {
		t.Errorf("of one: %v, %v", got, err)
	}
}

// TestForeignCache reads a folder as huggingface_hub leaves it, with what is none of our business beside.
func TestForeignCache(t *testing.T) {
	cache := Cache{t.TempDir()}
	other := strings.Repeat("e", 40)
	write := func(path, text string) {
		t.Helper()
		path = filepath.Join(cache.Dir, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text),
			0o644)); err != nil {
			t.Fatal(err)
		}
	}
	link := func(to, path string) {
		t.Helper()
		path = filepath.Join(cache.Dir, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.Symlink(to, path)); err != nil {
			t.Fatal(err)
		}
	}
	snap := "models--a--b/snapshots/" + hubtest.Commit
	write("version.txt", "1")
	write("datasets--a--d/refs/main", hubtest.Commit)
	write("models--a--b/refs/main", hubtest.Commit)
	write("models--a--b/refs/refs%2Fpr%2F1", "no commit")
	write("models--a--b/blobs/one", "1234")
	write("models--a--b/blobs/two", "12345678")
	write("models--a--b/blobs/three.incomplete", "1")
	link("../../blobs/one", snap+"/b-Q4_K_M.gguf")
	link("../../../blobs/two", snap+"/sub/b-Q8_0.gguf")
	link("../../blobs/three", snap+"/b-F16.gguf")
	link("../../blobs/one", "models--a--b/snapshots/"+other+"/b-Q4_K_M.gguf")
	write("models--c--d/refs/main", hubtest.Commit)
	write("models--nobody/refs/main", hubtest.Commit)

	list, err := cache.List()
	var names []string
	for _, m := range list {
		names = append(names, m.Ref.String())
		if path, err := cache.Find(m.Ref); err != nil || path != m.Path {
			t.Errorf("%v is %s, then %s, %v", m.Ref, m.Path, path, err)
		}
	}
	want := []string{"hf:a/b:Q4_K_M", "hf:a/b:Q8_0", "hf:a/b@" + other + ":Q4_K_M"}
	if slices.Sort(names); err != nil || !slices.Equal(names, want) {
		t.Errorf("%q, %v", names, err)
	}
	for _, name := range []string{"hf:a/b:F16", "hf:a/b@v2", "hf:c/d", "hf:e/f", "hf:a/b/sub"} {
		if path, err := cache.Find(mustRef(t, name)); !errors.As(err, new(*NotCachedError)) {
			t.Errorf("%s: %s, %v", name, path, err)
		}
		if _, err := cache.Remove(mustRef(t, name)); name != "hf:c/d" && !errors.As(err, new(*NotCachedError)) {
			t.Errorf("removing %s: %v", name, err)
		}
	}

	// A blob goes when nothing links to it any more.
	if n, err := cache.Remove(mustRef(t, "hf:a/b:Q4_K_M")); err != nil || n != 0 {
		t.Errorf("freed %d, %v", n, err)
	}
	if n, err := cache.Remove(mustRef(t, "hf:a/b@"+other)); err != nil || n != 4 {
		t.Errorf("freed %d, %v", n, err)
	}
	if n, err := cache.Remove(mustRef(t, "hf:a/b:Q8_0")); err != nil || n != 8 {
		t.Errorf("freed %d, %v", n, err)
	}
	if _, err := os.Stat(filepath.Join(cache.Dir, "models--a--b/blobs/three.incomplete")); err != nil {
		t.Error(err)
	}
	if n, err := cache.Remove(mustRef(t, "hf:a/b")); err != nil || n == 0 {
		t.Errorf("freed %d, %v", n, err)
	}
	if _, err := os.Stat(filepath.Join(cache.Dir, "models--a--b")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestPlaces(t *testing.T) {
	home := t.TempDir()
	for _, name := range []string{"HF_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME", "HF_TOKEN", "HF_TOKEN_PATH",
		"HF_ENDPOINT"} {
		t.Setenv(name, "")
	}
	t.Setenv("HOME", home)
	if got := DefaultCache().Dir; got != filepath.Join(home, ".cache/huggingface/hub") {
		t.Error(got)
	}
	token := func() string {
		t.Helper()
		c, err := DefaultClient()
		if err != nil {
			t.Fatal(err)
		}
		return c.Token
	}
	if got := token(); got != "" {
		t.Errorf("token %q", got)
	}
	file := filepath.Join(home, ".cache/huggingface/token")
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte("one\n"),
		0o600)); err != nil {
		t.Fatal(err)
	}
	if got := token(); got != "one" {
		t.Errorf("token %q", got)
	}
	t.Setenv("HF_TOKEN_PATH", filepath.Join(home, "none"))
	if _, err := DefaultClient(); err == nil {
		t.Error("no error for a file that is not there")
	}
	t.Setenv("HF_TOKEN", "two\nlines")
	if _, err := DefaultClient(); err == nil || strings.Contains(err.Error(), "two") {
		t.Errorf("a token of two lines: %v", err)
	}
	t.Setenv("HF_TOKEN", "two")
	if got := token(); got != "two" {
		t.Errorf("token %q", got)
	}
	t.Setenv("XDG_CACHE_HOME", "/x")
	if got := DefaultCache().Dir; got != "/x/huggingface/hub" {
		t.Error(got)
	}
	t.Setenv("HF_HOME", "/y")
	if got := DefaultCache().Dir; got != "/y/hub" {
		t.Error(got)
	}
	t.Setenv("HF_HUB_CACHE", "/z")
	if got := DefaultCache().Dir; got != "/z" {
		t.Error(got)
	}
}
