package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/internal/safetensors"
)

// TestInspectUnknown inspects models of architectures that nobody knows: a file that is a Llama by another name, and a
// folder.
func TestInspectUnknown(t *testing.T) {
	file, err := os.ReadFile("../../testdata/gguf/llama-Q4_K_M.gguf")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "unknown.gguf")
	if err := os.WriteFile(path, bytes.ReplaceAll(file, []byte("llama"), []byte("llamx")), 0o644); err != nil {
		t.Fatal(err)
	}
	var in inspection
	r := command(t, "", "inspect", "--json", path)
	if err := json.Unmarshal([]byte(r.out), &in); err != nil {
		t.Fatal(err)
	}
	if l := in.Nearest; in.Supported || l == nil || l.Arch != "llama" || l.Known != l.Kinds || len(l.Extra) > 0 ||
		!slices.Contains(l.Ops, "swiglu") {
		t.Errorf("nearest is %+v", in.Nearest)
	}
	r = command(t, "", "inspect", path)
	if words := strings.Join(strings.Fields(r.out), " "); !strings.Contains(words, "nearest llama, and as near ") ||
		!strings.Contains(words, "ops add, attention, ") {
		t.Errorf("exit %d, %.1500s", r.code, r.out)
	}

	weights, err := safetensors.Encode(map[string]safetensors.Tensor{
		"model.layers.0.mixer.A_log": {DType: "F32", Shape: []int{2}, Data: make([]byte, 8)}})
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"model.safetensors": weights,
		"config.json": []byte(`{"architectures":["UnheardOf"]}`)} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r = command(t, "", "inspect", dir)
	for _, want := range []string{`model class "UnheardOf" is not known`, "no known architecture can read its metadata",
		"model.layers.*.mixer.A_log [2]: for ssm_scan"} {
		if r.code != 1 || !strings.Contains(r.out, want) {
			t.Errorf("exit %d, no %q in %s", r.code, want, r.out)
		}
	}
	if r := command(t, "", "inspect", "ember"); strings.Contains(r.out, "nearest") {
		t.Errorf("something is near ember: %.300s", r.out)
	}
}
