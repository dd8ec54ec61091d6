package hipengine

import "testing"

// TestModelID names models by the path that they come from.
func TestModelID(t *testing.T) {
	const commit = "0123456789abcdef0123456789abcdef01234567"
	for path, want := range map[string]string{
		"":                  Ember,
		"a/b.gguf":          "b",
		"a/b/":              "b",
		"a/b/.":             "b",
		"hf:acme/tiny:Q8_0": "tiny:Q8_0",
		"hub/models--acme--tiny/snapshots/" + commit:              "tiny",
		"/hub/models--acme--tiny--x/snapshots/" + commit + "/":    "tiny--x",
		"hub/models--tiny/snapshots/" + commit:                    "tiny",
		"hub/models--acme--tiny/snapshots/" + commit + "/q8.gguf": "q8",
		"hub/models--acme--tiny/snapshots/main":                   "main",
		"snapshots/" + commit:                                     commit,
	} {
		if got := ModelID(path); got != want {
			t.Errorf("%q: %q, want %q", path, got, want)
		}
	}
}
