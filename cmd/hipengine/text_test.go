package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestTextFiles gives tokenize and template what has no weights: folders with some of a tokenizer's files, and the
// files themselves. The tokenizer is Ember's, which the built-in model has too.
func TestTextFiles(t *testing.T) {
	vocab, err := os.ReadFile("../../models/hf/testdata/tiny/tokenizer.json")
	if err != nil {
		t.Fatal(err)
	}
	write := func(dir, name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const config = `{"eos_token": "<|im_end|>", "chat_template": "config {{ messages[0].content }}"}`
	whole, bare, empty := t.TempDir(), t.TempDir(), t.TempDir()
	file := write(whole, "tokenizer.json", string(vocab))
	configFile := write(whole, "tokenizer_config.json", config)
	jinja := write(whole, "chat_template.jinja", "jinja {{ messages[0].content }}")
	named := write(bare, "some name.json", string(vocab))

	want := command(t, "", "tokenize", file, "Hello there<|im_end|>")
	var ids []int32
	if err := json.Unmarshal([]byte(want.out), &ids); err != nil || len(ids) < 3 || !slices.Contains(ids, 2) {
		t.Fatalf("%s: %v, exit %d: %s", file, ids, want.code, want.errOut)
	}
	for _, path := range []string{whole, configFile, named} {
		if r := command(t, "", "tokenize", path, "Hello there<|im_end|>"); r.code != 0 || r.out != want.out {
			t.Errorf("tokenize %s: exit %d, out %q, err %q", path, r.code, r.out, r.errOut)
		}
	}
	const messages = `{"messages": [{"role": "user", "content": "Hi"}]}`
	for path, want := range map[string]string{whole: "jinja Hi", file: "jinja Hi", jinja: "jinja Hi",
		configFile: "config Hi"} {
		if r := command(t, messages, "template", path); r.code != 0 || r.out != want {
			t.Errorf("template %s: exit %d, out %q, err %q", path, r.code, r.out, r.errOut)
		}
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"tokenize", jinja, "x"}, "there is no tokenizer"},
		{[]string{"template", named}, "has no chat template"},
		{[]string{"tokenize", empty, "x"}, "config.json is missing"},
		{[]string{"tokenize", filepath.Join(empty, "x.json"), "x"}, "there is no such file"},
		{[]string{"template", filepath.Join(empty, "x.jinja")}, "there is no such file"},
		{[]string{"tokenize", write(empty, "bad.json", "{"), "x"}, "bad.json"},
	} {
		if r := command(t, messages, c.args...); r.code == 0 || !strings.Contains(r.errOut, c.want) {
			t.Errorf("%q: exit %d, err %q, want %q", c.args, r.code, r.errOut, c.want)
		}
	}
}
