package hipengine_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestOutside runs the program of testdata/outside as a module of its own that requires this one alone.
func TestOutside(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: -short leaves other modules to make modules")
	}
	program, err := os.ReadFile("testdata/outside/main.go")
	if err != nil {
		t.Fatal(err)
	}
	if lines := regexp.MustCompile(`(?m)^.*\S.*$`).FindAll(program, -1); len(lines) > 15 {
		t.Errorf("the program has %d lines, more than 15", len(lines))
	}
	if strings.Contains(string(program), "hipengine/hipengine/") {
		t.Error("the program imports another package than hipengine")
	}
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	sum, err := os.ReadFile("go.sum")
	if err != nil {
		t.Fatal(err)
	}
	// The versions of what the module requires are taken over, so that nothing is looked up.
	text := strings.Replace(string(mod), "module github.com/hipengine/hipengine", "module example.com/outside", 1) +
		"\nrequire github.com/hipengine/hipengine v0.0.0\n\nreplace github.com/hipengine/hipengine => " + root + "\n"
	dir := t.TempDir()
	for name, content := range map[string][]byte{"go.mod": []byte(text), "go.sum": sum, "main.go": program} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "go", "run", "-mod=mod", ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off", "GOPROXY=off")
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil || string(out) != "The capital of France is Paris." {
		t.Errorf("%q, %v: %s", out, err, &errs)
	}
}
