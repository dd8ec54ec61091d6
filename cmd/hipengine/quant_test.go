package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/internal/testfiles"
)

// succeed runs a command line that must not fail.
func succeed(t *testing.T, args ...string) result {
	t.Helper()
	r := command(t, "", args...)
	if r.code != 0 {
		t.Fatalf("%v: exit %d, err %q", args, r.code, r.errOut)
	}
	return r
}

// TestQuantOnLoad quantizes folders while they are loaded, and compares the logits with those of the file that convert
// and quantize make of the same folder: they must be the same bytes.
func TestQuantOnLoad(t *testing.T) {
	for _, c := range []struct {
		name, typ, folder string
	}{
		{"hybrid", "q4_k_m", "builtin-model"},
		{"experts", "q8_0", "fixtures/qwen35moe"},
		{"layers that share keys", "q5_k_m", "fixtures/gemma4"},
		{"experts in MXFP4", "mxfp4_moe", "fixtures/gptoss"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if testing.Short() && c.name != "experts" {
				t.Skip("SKIPPED: -short leaves other models and types to make long")
			}
			folder, dir := testfiles.Path(t, c.folder), t.TempDir()
			whole, small := filepath.Join(dir, "whole.gguf"), filepath.Join(dir, "small.gguf")
			succeed(t, "convert", folder, whole)
			succeed(t, "quantize", whole, small, "--type", c.typ)
			logits := func(name string, args ...string) []byte {
				out := filepath.Join(dir, name)
				succeed(t, append([]string{"logits", "--device", "cpu", "--tokens", "5,17,300,42,7,256", "--out", out},
					args...)...)
				b, err := os.ReadFile(out)
				if err != nil || len(b) == 0 {
					t.Fatalf("%d bytes of logits: %v", len(b), err)
				}
				return b
			}
			want := logits("file.f32", small)
			if got := logits("load.f32", folder, "--quant", strings.ToUpper(c.typ)); !bytes.Equal(got, want) {
				t.Error("logits differ from those of the converted and quantized file")
			}
			if bytes.Equal(logits("exact.f32", folder), want) {
				t.Error("logits are those of the folder without --quant")
			}
		})
	}
}

// TestQuantCommands gives --quant to all commands that run models.
func TestQuantCommands(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: -short leaves it to make long")
	}
	folder := testfiles.Path(t, "builtin-model")
	dir := t.TempDir()
	matrix, small := filepath.Join(dir, "matrix.gguf"), filepath.Join(dir, "small.gguf")
	succeed(t, "imatrix", "ember", writeText(t), matrix, "--chunk", "16", "--device", "cpu")
	succeed(t, "convert", folder, small, "--type", "q4_k_m", "--imatrix", matrix)

	if r := succeed(t, "run", folder, "--quant", "q8_0", "--device", "cpu",
		france); r.out != "The capital of France is Paris.\n" {
		t.Errorf("run: out %q", r.out)
	}
	var want, got scoreJSON
	text := writeText(t)
	perplexity := func(to *scoreJSON, args ...string) {
		args = append([]string{"perplexity", "--device", "cpu", "--chunk", "16", "--json"}, args...)
		if err := json.Unmarshal([]byte(succeed(t, args...).out), to); err != nil {
			t.Fatal(err)
		}
	}
	perplexity(&want, small, text)
	perplexity(&got, folder, text, "--quant", "q4_k_m", "--imatrix", matrix)
	if got.NLL != want.NLL || got.NLL == 0 {
		t.Errorf("perplexity with --quant %v, of the file %v", got, want)
	}
	var report benchReport
	r := succeed(t, "bench", folder, "--quant", "q8_0", "--device", "cpu", "--pp", "8", "--tg", "2", "--reps", "1",
		"--json")
	if err := json.Unmarshal([]byte(r.out), &report); err != nil {
		t.Fatal(err)
	}
	if report.Weights == 0 || report.Weights > 11e6 {
		t.Errorf("bench: %d bytes of weights, Q8_0 has 10.7 MB", report.Weights)
	}
	var in inspection
	if err := json.Unmarshal([]byte(succeed(t, "inspect", folder, "--quant", "q8_0", "--json").out), &in); err != nil {
		t.Fatal(err)
	}
	if in.TensorBytes != 10720192 {
		t.Errorf("inspect: %d bytes of tensors, the file in Q8_0 has 10720192", in.TensorBytes)
	}
	var kl klReport
	if err := json.Unmarshal(
		[]byte(succeed(t, "kl", folder, folder, text, "--quant", "q2_k", "--device", "cpu", "--chunk", "16",
			"--json").out), &kl); err != nil {
		t.Fatal(err)
	}
	if !(kl.KL > 1e-4) {
		t.Errorf("kl: %v between a folder and itself in Q2_K: --quant must leave the base alone", kl.KL)
	}
}

func TestQuantUsage(t *testing.T) {
	const file = "../../internal/ember/ember-Q8_0.gguf"
	folder, text := testfiles.Model(t, "llama"), writeText(t)
	out := filepath.Join(t.TempDir(), "out.f32")
	for _, c := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"run of a file", []string{"run", file, "--quant", "q8_0", "hi"}, exitUsage,
			"--quant q8_0: ember-Q8_0 is a GGUF file"},
		{"run of Ember", []string{"run", "--quant", "q8_0", "hi"}, exitUsage, "--quant q8_0: ember is a GGUF file"},
		{"serve of a file", []string{"serve", file, "--quant", "q8_0", "--port", "0"}, exitUsage,
			"--quant q8_0: ember-Q8_0 is a GGUF file"},
		{"bench of a file", []string{"bench", file, "--quant", "q8_0"}, exitUsage,
			"--quant q8_0: ember-Q8_0 is a GGUF file"},
		{"logits of a file", []string{"logits", file, "--quant", "q8_0", "--tokens", "1", "--out", out}, exitUsage,
			"--quant q8_0: ember-Q8_0 is a GGUF file"},
		{"perplexity of a file", []string{"perplexity", file, text, "--quant", "q8_0"}, exitUsage,
			"--quant q8_0: ember-Q8_0 is a GGUF file"},
		{"unknown type", []string{"logits", folder, "--quant", "q9", "--tokens", "1", "--out", out}, exitUsage,
			"--quant: convert: unknown type \"q9\" (known: "},
		{"type that needs a matrix", []string{"logits", folder, "--quant", "iq2_xxs", "--tokens", "1", "--out", out},
			exitFailed, "needs an importance matrix"},
		{"matrix alone", []string{"logits", folder, "--imatrix", "x", "--tokens", "1", "--out", out}, exitUsage,
			"--imatrix is for --quant"},
		{"missing matrix", []string{"logits", folder, "--quant", "q4_k_m", "--imatrix", "none", "--tokens", "1",
			"--out", out}, exitFailed, "none"},
		{"no value", []string{"logits", folder, "--quant"}, exitUsage, "--quant"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if r := command(t, "", c.args...); r.code != c.code || !strings.Contains(r.errOut, c.want) {
				t.Errorf("exit %d, want %d; err %q, want %q in it", r.code, c.code, r.errOut, c.want)
			}
		})
	}
}
