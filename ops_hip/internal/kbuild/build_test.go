package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// compiler skips a test without the pinned compiler.
func compiler(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("SKIPPED: -short leaves compiling to make long and make kernels-check")
	}
	for _, tool := range []string{"clang-22", "ld.lld-22"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("SKIP: %s is not installed (Debian packages clang-22 and lld-22)", tool)
		}
	}
	t.Setenv("CLANG", "clang-22")
}

// copySources copies the test kernels to a folder of the given name.
func copySources(t *testing.T, name string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	if err := os.CopyFS(dir, os.DirFS("../../testdata/kernels")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// tree reads all files below a folder.
func tree(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	m := map[string][]byte{}
	err := filepath.WalkDir(dir, func(p string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		m[filepath.ToSlash(rel)], err = os.ReadFile(p)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// The same sources in two folders give the same bytes; -check sees every kind of difference.
func TestBuild(t *testing.T) {
	compiler(t)
	targets := []string{"gfx1100", "gfx1102", "sm_80"}
	var outs []string
	for _, name := range []string{"a", "another/folder"} {
		out := filepath.Join(t.TempDir(), "codeobj")
		if err := run(copySources(t, name), out, options{}, targets); err != nil {
			t.Fatal(err)
		}
		outs = append(outs, out)
	}
	first := tree(t, outs[0])
	if !maps.EqualFunc(first, tree(t, outs[1]), bytes.Equal) {
		t.Error("outputs of two folders differ")
	}
	for _, name := range []string{"gfx1100/objects.zip", "gfx1100/SHA256SUMS", "gfx1100/gfx1100.go", "sm_80/sm80.go",
		"all/all.go"} {
		if first[name] == nil {
			t.Errorf("%s was not written", name)
		}
	}
	objects, err := unpack(first["gfx1100/objects.zip"])
	if err != nil || len(objects) != 2 || objects["rms_norm.co"] == nil {
		t.Errorf("%d objects, %v", len(objects), err)
	}
	all, err := objectsOf(first, targets)
	if err != nil || !bytes.Equal(all["gfx1100"]["rms_norm.co"], objects["rms_norm.co"]) ||
		!bytes.HasPrefix(all["gfx1102"]["rms_norm.co"], []byte("\x7fELF")) {
		t.Errorf("objects of %d targets, %v", len(all), err)
	}
	if sum := fmt.Sprintf("%x", sha256.Sum256(all["gfx1102"]["rms_norm.co"])); !bytes.Contains(
		first["gfx1102/SHA256SUMS"], []byte(sum)) {
		t.Error("the delta of gfx1102 gives another object")
	}
	if bytes.Contains(objects["rms_norm.co"], []byte(t.TempDir()[:8])) {
		t.Error("the folder of the sources is in the object")
	}
	src, out := copySources(t, "c"), outs[0]
	check := func() error { return run(src, out, options{check: true}, targets) }
	if err := check(); err != nil {
		t.Fatalf("check of fresh output: %v", err)
	}
	sums := func() error { return run(src, out, options{check: true, sums: true}, targets[:1]) }
	if err := sums(); err != nil {
		t.Fatalf("check of the hashes of one target: %v", err)
	}
	if err := os.WriteFile(filepath.Join(out, "gfx1100", "keep_test.go"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		do   func() error
		want string
	}{
		{"changed source", func() error {
			return os.WriteFile(filepath.Join(src, "portable.h"),
				append(tree(t, src)["portable.h"], "// changed\n"...), 0o644)
		}, "is not what the sources give"},
		{"removed source", func() error { return os.Remove(filepath.Join(src, "rms_norm.hip")) },
			"is not what the sources give"},
		{"removed target", func() error { targets = targets[:1]; return nil }, "run make kernels"},
	} {
		if err := c.do(); err != nil {
			t.Fatal(err)
		}
		if err := check(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: check says %v", c.name, err)
		}
		if err := sums(); (err == nil) != (c.name == "removed target") {
			t.Errorf("%s: check of hashes says %v", c.name, err)
		}
		if err := run(src, out, options{}, targets); err != nil {
			t.Fatal(err)
		}
		if err := check(); err != nil {
			t.Errorf("%s: check after building: %v", c.name, err)
		}
	}
	last := tree(t, out)
	if last["sm_80/sm80.go"] != nil || last["gfx1100/keep_test.go"] == nil {
		t.Error("the wrong files were removed")
	}
}

func TestBuildErrors(t *testing.T) {
	compiler(t)
	for _, c := range []struct {
		name, file, text, target, want string
	}{
		{"syntax", "bad.hip", "extern int x", "gfx1100", "bad.hip for gfx1100"},
		{"rule", "bad.hip", `extern "C" __attribute__((global)) void k(unsigned *o) { o[0] = __builtin_amdgcn_workgroup_size_x(); }`, "gfx1100", "hidden argument"},
		{"target", "ok.hip", "", "x86", "neither gfx* nor sm_*"},
	} {
		src := filepath.Join(t.TempDir(), "src")
		if err := os.Mkdir(src, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(src, c.file), []byte(c.text), 0o644); err != nil {
			t.Fatal(err)
		}
		out := filepath.Join(t.TempDir(), "out")
		if err := run(src, out, options{}, []string{c.target}); err == nil ||
			!strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
		if _, err := os.Stat(out); err == nil {
			t.Errorf("%s: files were written", c.name)
		}
	}
	if err := run("x", "y", options{}, nil); err == nil {
		t.Error("no error without targets")
	}
	t.Setenv("CLANG", "true")
	if err := run("x", "y", options{}, []string{"gfx1100"}); err == nil ||
		!strings.Contains(err.Error(), "the kernels are built with clang version 22.") {
		t.Errorf("another compiler: %v", err)
	}
	t.Setenv("CLANG", "no-such-compiler")
	if err := run("x", "y", options{}, []string{"gfx1100"}); err == nil ||
		!strings.Contains(err.Error(), "Debian package clang-22") {
		t.Errorf("no compiler: %v", err)
	}
}

// outside is the folder of the kernels that the module of a third party has.
const outside = "../../../testdata/thirdparty/relu2/"

// What is committed was built from the sources that are there. The hash of the sources is compared everywhere;
// rebuilding them takes the compiler, and make kernels-check.
func TestCommittedIsCurrent(t *testing.T) {
	for _, c := range []struct{ src, out string }{
		{"../../kernels", "../../codeobj"}, {"../../testdata/kernels", "../../testdata/codeobj"},
		{"../../testdata/fragments", "../../testdata/fragments"},
		{outside + "kernels", outside + "codeobj"},
	} {
		want, err := hashSources(c.src)
		if err != nil {
			t.Fatal(err)
		}
		sums, err := filepath.Glob(filepath.Join(c.out, "*", "SHA256SUMS"))
		if err != nil || len(sums) == 0 {
			t.Fatalf("%s: %d targets, %v", c.out, len(sums), err)
		}
		for _, p := range sums {
			b, err := os.ReadFile(p)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(b), "# sources: "+want+"\n") {
				t.Errorf("%s is of other sources: run make kernels", p)
			}
		}
	}
}

// The committed packages are what this program writes, whatever compiler there is.
func TestCommittedPackages(t *testing.T) {
	const out = "../../codeobj"
	have := tree(t, out)
	var targets []string
	for name := range have {
		if target, file := filepath.Split(name); file == "SHA256SUMS" {
			targets = append(targets, filepath.Clean(target))
		}
	}
	all, err := objectsOf(have, targets)
	if err != nil {
		t.Fatal(err)
	}
	check := targets
	if testing.Short() {
		t.Log("SKIPPED: -short leaves the objects of most targets to make long and make kernels-check")
		check = []string{"gfx1200", "gfx1201"} // whole, and differences from the former
	}
	for _, target := range check {
		want := map[string][]byte{}
		if err := addPackage(want, target, have[target+"/SHA256SUMS"], all); err != nil {
			t.Fatal(err)
		}
		for file, text := range want {
			if !same(file, have[file], text) {
				t.Errorf("%s is not what kbuild writes: run make kernels", file)
			}
		}
	}
	if len(targets) == 0 || !bytes.Equal(have["all/all.go"], allFile(targets)) {
		t.Errorf("all/all.go does not import the %d targets", len(targets))
	}
}

// The compiler gives the committed test kernels again, byte for byte.
func TestTestKernelsAreReproducible(t *testing.T) {
	compiler(t)
	if out, err := exec.Command("clang-22", "--version").Output(); err != nil ||
		!bytes.Contains(tree(t, "../../testdata/codeobj")["gfx1100/SHA256SUMS"],
			bytes.SplitN(out, []byte("\n"), 2)[0]) {
		t.Skipf("SKIP: this is not the release of clang 22 that built them: %s", out)
	}
	if err := run("../../testdata/kernels", "../../testdata/codeobj", options{check: true, loose: true},
		[]string{"gfx1100", "gfx1201", "sm_80", "sm_90"}); err != nil {
		t.Error(err)
	}
	if err := run(outside+"kernels", outside+"codeobj", options{check: true, loose: true}, []string{"gfx1100"}); err != nil {
		t.Error(err)
	}
	amd := []string{"gfx1100", "gfx1101", "gfx1102", "gfx1103", "gfx1150", "gfx1151", "gfx1200", "gfx1201"}
	if err := run("../../testdata/fragments", "../../testdata/fragments", options{check: true, loose: true}, amd); err != nil {
		t.Error(err)
	}
}
