package archtest

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Another module can add an op with a kernel for a GPU that we ship kernels for, an architecture and a device, and
// prove them, with what we export: the module in testdata/thirdparty builds and passes its tests, without a network.
func TestThirdParty(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: -short leaves other modules to make modules")
	}
	dir := filepath.Join(root, "testdata", "thirdparty")
	tested := map[string]bool{} // packages with tests
	// All files are read, so that go test does not take an old result of this test for theirs.
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if strings.HasSuffix(path, "_test.go") {
			rel, err := filepath.Rel(dir, filepath.Dir(path))
			if err != nil {
				return err
			}
			tested["example.com/thirdparty/"+filepath.ToSlash(rel)] = true
		}
		_, err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(tested) < 3 {
		t.Errorf("only %d packages have tests, want an op, an architecture and a device", len(tested))
	}
	cmd := exec.Command("go", "test", "-mod=readonly", "./...")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOPROXY=off", "GOWORK=off")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("go test in %s: %v\n%s", dir, err, out)
	}
	for _, m := range regexp.MustCompile(`(?m)^ok\s+(\S+)`).FindAllStringSubmatch(string(out), -1) {
		delete(tested, m[1])
	}
	for p := range tested {
		t.Errorf("the tests of %s did not run:\n%s", p, out)
	}
}
