package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/internal/hubtest"
)

// testHub is a hub with Ember, and sets the environment to find it and an empty cache.
func testHub(t *testing.T) *hubtest.Hub {
	t.Helper()
	ember, err := os.ReadFile("../../internal/ember/ember-Q8_0.gguf")
	if err != nil {
		t.Fatal(err)
	}
	h := hubtest.New(t, map[string][]byte{"b-Q8_0.gguf": ember, "broken-Q4_0.gguf": bytes.Repeat([]byte("x"), 2000)})
	t.Setenv("HF_ENDPOINT", h.URL)
	t.Setenv("HF_HOME", t.TempDir())
	t.Setenv("HF_HUB_CACHE", "")
	t.Setenv("HF_TOKEN", "sesame")
	return h
}

// TestPull fetches Ember from a hub, uses it under its name, and removes it.
func TestPull(t *testing.T) {
	testHub(t)
	const name = "hf:a/b:Q8_0"
	r := command(t, "", "run", "--device", "cpu", name, france)
	if r.code != exitFailed || !strings.Contains(r.errOut, "hipengine pull "+name+" fetches it") {
		t.Errorf("before: exit %d, %q", r.code, r.errOut)
	}
	if r = command(t, "", "pull", name); r.code != 0 || !strings.HasSuffix(r.out, "/b-Q8_0.gguf\n") {
		t.Fatalf("exit %d, out %q, err %q", r.code, r.out, r.errOut)
	}
	path := strings.TrimSpace(r.out)
	if r = command(t, "", "run", "--device", "cpu", "--temp", "0", name, france); r.code != 0 ||
		r.out != "The capital of France is Paris.\n" {
		t.Errorf("exit %d, out %q, err %q", r.code, r.out, r.errOut)
	}
	var all []listed
	r = command(t, "", "list", "--json")
	if err := json.Unmarshal([]byte(r.out), &all); err != nil || len(all) != 1 || all[0].Name != name ||
		all[0].Path != path || all[0].Bytes < 1e7 {
		t.Errorf("exit %d, %v: %s%s", r.code, err, r.out, r.errOut)
	}
	if r = command(t, "", "rm", name); r.code != 0 || !strings.Contains(r.out, "0.01 GB are free again") {
		t.Errorf("exit %d, out %q, err %q", r.code, r.out, r.errOut)
	}
	if r = command(t, "", "list"); r.code != 0 || strings.Count(r.out, "\n") != 1 {
		t.Errorf("after: exit %d, %q, %q", r.code, r.out, r.errOut)
	}
	if r = command(t, "", "inspect", "--pull", name); r.code != 0 || !strings.Contains(r.out, "qwen35") {
		t.Errorf("with --pull: exit %d, %q, %q", r.code, r.out, r.errOut)
	}
}

// TestNoModel: what means no model is never answered by Ember.
func TestNoModel(t *testing.T) {
	h := testHub(t)
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "mistral.gguf"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"run", "hf:a/b:Q9", "Hi"}, exitFailed, "is not in the cache"},
		{[]string{"run", "hf:a", "Hi"}, exitFailed, "want hf:OWNER/NAME"},
		{[]string{"run", "--pull", "hf:a/b:Q9", "Hi"}, exitFailed,
			"no such quantization; there is hf:a/b:Q8_0, hf:a/b:Q4_0"},
		{[]string{"run", "--pull", "hf:a", "Hi"}, exitUsage, "want hf:OWNER/NAME"},
		{[]string{"run", "--pull", "hf:c/d", "Hi"}, exitFailed, "401"},
		{[]string{"run", "--pull", "hf:a/b:Q4_0", "Hi"}, exitFailed, "gguf"},
		{[]string{"run", "a/b", "Hi"}, exitFailed, "the model of a hub is hf:a/b"},
		{[]string{"run", "qwen3-8b", "Hi"}, exitUsage, "run ember qwen3-8b"},
		{[]string{"run", "llama3", "Hi"}, exitUsage, "run ember llama3"},
		{[]string{"run", "Embr", "Hi"}, exitUsage, "there is ember;"},
		{[]string{"run", "--models", folder, "mistrall", "Hi"}, exitUsage, "there is mistral;"},
		{[]string{"inspect", "--models", folder, "mistrall"}, exitFailed, "there is mistral"},
		{[]string{"pull", "a/b"}, exitUsage, "does not begin with hf:"},
		{[]string{"pull", "--connections", "17", "hf:a/b"}, exitUsage, "--connections"},
		{[]string{"rm", "hf:a/c"}, exitFailed, "is not in the cache"},
		{[]string{"rm", "--models", folder, "mistrall"}, exitFailed, "there is mistral"},
		{[]string{"rm", folder + "/mistral.gguf"}, exitUsage, "rm takes the name"},
		{[]string{"serve", "--port", "0", "hf:a/b:F16"}, exitFailed, "is not in the cache"},
	} {
		r := command(t, "", c.args...)
		if r.code != c.code || r.out != "" || !strings.Contains(r.errOut, c.want) {
			t.Errorf("%q: exit %d, out %q, err %q, want %q", c.args, r.code, r.out, r.errOut, c.want)
		}
	}
	if r := command(t, "", "run", "--device", "cpu", "What", "is", "the", "capital", "of",
		"France?"); !strings.Contains(r.errOut, "Ember answers") {
		t.Errorf("exit %d, err %q", r.code, r.errOut)
	}
	if r := command(t, "", "rm", "--models", folder, "mistral"); r.code != 0 {
		t.Errorf("exit %d, err %q", r.code, r.errOut)
	}
	if left, _ := os.ReadDir(folder); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	hub, storage := h.Tokens()
	if strings.Contains(fmt.Sprint(storage), "sesame") || !strings.Contains(fmt.Sprint(hub), "Bearer sesame") {
		t.Errorf("tokens %q and %q", hub, storage)
	}
}
