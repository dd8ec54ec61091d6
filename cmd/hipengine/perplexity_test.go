package main

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const riverText = `The river runs from the hills to the sea. In spring it is high and loud, and in summer a child can walk through it.
What is the capital of France? The capital of France is Paris. What is two plus three? Two plus three is five.`

func writeText(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "text.txt")
	if err := os.WriteFile(file, []byte(riverText), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestPerplexityCommand(t *testing.T) {
	file := writeText(t)
	r := command(t, "", "perplexity", "ember", file, "--chunk", "16", "--device", "cpu", "--json")
	var s scoreJSON
	if err := json.Unmarshal([]byte(r.out), &s); r.code != 0 || err != nil {
		t.Fatalf("exit %d, %v, out %q, err %q", r.code, err, r.out, r.errOut)
	}
	if s.Chunk != 16 || s.Chunks < 2 || s.Tokens != 7*s.Chunks || !(s.Perplexity > 1) ||
		math.Abs(math.Log(s.Perplexity)-s.NLL) > 1e-9 || s.Err == nil || !(*s.Err > 0) {
		t.Errorf("score %+v", s)
	}
	for _, c := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"short chunk", []string{"ember", file, "--chunk", "3"}, exitUsage, "--chunk 3"},
		{"chunk beyond context", []string{"ember", file, "--chunk", "64", "--ctx", "32"}, exitUsage, "--ctx 32"},
		{"short text", []string{"ember", file}, exitFailed, "shorter chunks"},
		{"no text", []string{"ember", "none.txt"}, exitFailed, "none.txt"},
		{"no model", []string{"none.gguf", file}, exitFailed, "none.gguf"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := command(t, "", append([]string{"perplexity", "--device", "cpu"}, c.args...)...)
			if r.code != c.code || !strings.Contains(r.errOut, c.want) {
				t.Errorf("exit %d, want %d; err %q, want %q in it", r.code, c.code, r.errOut, c.want)
			}
		})
	}
}

func TestKLCommand(t *testing.T) {
	file := writeText(t)
	page := filepath.Join(t.TempDir(), "kl.html")
	r := command(t, "", "kl", "ember", "ember", file, "--chunk", "16", "--device", "cpu", "--json", "--worst", "2",
		"--html", page)
	var k klReport
	if err := json.Unmarshal([]byte(r.out), &k); r.code != 0 || err != nil {
		t.Fatalf("exit %d, %v, out %q, err %q", r.code, err, r.out, r.errOut)
	}
	if k.KL != 0 || k.Top1 != 1 || k.DeltaP != 0 || len(k.Worst) != 2 || k.Base.Perplexity != k.Model.Perplexity ||
		k.Base.Tokens == 0 {
		t.Errorf("a model against itself: %+v", k)
	}
	b, err := os.ReadFile(page)
	if err != nil || !strings.Contains(string(b), "<rect") || !strings.HasSuffix(string(b), "</html>\n") {
		t.Errorf("page %q, %v", b, err)
	}
	if r := command(t, "", "kl", "ember", "ember", file, "--chunk", "16", "--device", "cpu"); r.code != 0 ||
		!strings.Contains(r.out, "100.000 ± 0.000 %") {
		t.Errorf("exit %d, out %q, err %q", r.code, r.out, r.errOut)
	}
}
