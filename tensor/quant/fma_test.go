package quant

import (
	"os"
	"os/exec"
	"regexp"
	"testing"
)

// TestNoFusedArithmetic reads the compiler's output for a machine on which it fuses x*y + z wherever the source
// allows: one fused operation, perhaps across an inlined call, would make results differ between machines, in
// cases too rare for the oracles.
func TestNoFusedArithmetic(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED in short mode: compiles the package and its imports for arm64")
	}
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("SKIPPED: the go tool is not in PATH")
	}
	cmd := exec.Command(goTool, "build", "-gcflags=-S", ".")
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=arm64", "CGO_ENABLED=0")
	listing, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, listing)
	}
	if !regexp.MustCompile(`\sFMULS\s`).Match(listing) {
		t.Fatal("the listing has no multiplication: the test looks at the wrong thing")
	}
	fused := regexp.MustCompile(`[^/\s]+\.go:\d+\)\s+FN?M(ADD|SUB)[SD]\s.*`)
	for _, line := range fused.FindAll(listing, -1) {
		t.Errorf("fused: %s", line)
	}
}
