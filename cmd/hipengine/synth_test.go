package main

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestSynthUsage(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "out.gguf")
	for _, c := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"unknown shape", []string{"gpt-9", out}, exitUsage, "qwen3-0.6b"},
		{"too many layers", []string{"405b", out, "--first-layers", "127"}, exitUsage, "1..126"},
		{"unknown type", []string{"qwen3-0.6b", out, "--type", "q9"}, exitUsage, "q4_k_m"},
		{"type without codes", []string{"qwen3-0.6b", out, "--type", "iq2_xxs"}, exitFailed, "IQ2_XXS"},
		{"no folder for output", []string{"qwen3-0.6b", filepath.Join(dir, "none", "out.gguf")}, exitFailed,
			"cannot write"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if r := command(t, "", append([]string{"synth"}, c.args...)...); r.code != c.code ||
				!strings.Contains(r.errOut, c.want) {
				t.Errorf("exit %d, want %d; err %q, want %q in it", r.code, c.code, r.errOut, c.want)
			}
			if names, _ := filepath.Glob(filepath.Join(dir, "*")); len(names) != 0 {
				t.Errorf("files left: %v", names)
			}
		})
	}
}
