// Command kbuild compiles the GPU kernels for all targets and writes the packages that embed them.
//
//	kbuild [-check [-sums]] [-loose] [-src DIR] [-out DIR] TARGET...
//
// For each target it writes OUT/TARGET/: objects.zip, SHA256SUMS (with the compiler, its flags and a hash of the
// sources) and a Go file; and OUT/all, which imports them. The output depends on sources, compiler and flags
// alone. With -check it writes nothing and fails if what is there differs. With -loose it writes the objects as
// files and no Go package, for HIPENGINE_CODEOBJ. CLANG names the compiler, clang-22 by default.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
)

func main() {
	check := flag.Bool("check", false, "compare, write nothing")
	sums := flag.Bool("sums", false, "with -check, compare the hashes of the objects of the targets alone")
	loose := flag.Bool("loose", false, "write objects as files, without Go packages")
	src := flag.String("src", "ops_hip/kernels", "folder of the sources")
	out := flag.String("out", "ops_hip/codeobj", "folder to write to")
	flag.Parse()
	if err := run(*src, *out, options{*check, *sums, *loose}, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "kbuild:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct{ check, sums, loose bool }

func run(src, out string, o options, targets []string) error {
	if len(targets) == 0 {
		return fmt.Errorf("no targets given")
	}
	if o.sums && !o.check {
		return fmt.Errorf("-sums compares: it needs -check")
	}
	compiler := os.Getenv("CLANG")
	if compiler == "" {
		compiler = "clang-22"
	}
	b, err := newBuilder(compiler, src)
	if err != nil {
		return err
	}
	files := map[string][]byte{} // path below out
	all := map[string]map[string][]byte{}
	for _, t := range targets {
		if all[t], err = b.build(t); err != nil {
			return err
		}
	}
	for t, objects := range all {
		if o.sums { // which TestShippedObjects compares with the objects
			files[t+"/SHA256SUMS"] = b.sums(t, objects)
			continue
		}
		if o.loose {
			for name, object := range objects {
				files[t+"/"+name] = object
			}
			files[t+"/SHA256SUMS"] = b.sums(t, objects)
			continue
		}
		if err := addPackage(files, t, b.sums(t, objects), all); err != nil {
			return err
		}
	}
	if !o.loose && !o.sums {
		files["all/all.go"] = allFile(targets)
	}
	return sync(out, files, o.check, !o.sums)
}

// sync makes the files below out what they should be, or reports the first that is not. Where they are all that belongs
// there, others go.
func sync(out string, files map[string][]byte, check, all bool) error {
	total := 0
	for name, want := range files {
		total += len(want)
		path := filepath.Join(out, filepath.FromSlash(name))
		if have, err := os.ReadFile(path); err == nil && same(name, have, want) {
			continue
		}
		if check {
			return fmt.Errorf("%s is not what the sources give: run make kernels", path)
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, want, 0o644); err != nil {
			return err
		}
	}
	if total > maxTotal {
		return fmt.Errorf("%d bytes of compressed objects, the budget is %d", total, maxTotal)
	}
	if !all {
		return nil
	}
	return stale(out, files, check)
}

// same compares two files; zip files by their contents, since another release of Go may compress differently.
func same(name string, a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	if filepath.Ext(name) != ".zip" {
		return false
	}
	ua, errA := unpack(a)
	ub, errB := unpack(b)
	return errA == nil && errB == nil && maps.EqualFunc(ua, ub, bytes.Equal)
}

// stale removes what earlier runs wrote for targets and objects that are no more, or reports it. Other files are
// left alone.
func stale(out string, files map[string][]byte, check bool) error {
	paths, err := filepath.Glob(filepath.Join(out, "*", "*"))
	if err != nil {
		return err
	}
	for _, p := range paths {
		rel, err := filepath.Rel(out, p)
		if err != nil {
			return err
		}
		if _, ok := files[filepath.ToSlash(rel)]; ok || !written(p) {
			continue
		}
		if check {
			return fmt.Errorf("%s belongs to no source: run make kernels", p)
		}
		if err := os.Remove(p); err != nil {
			return err
		}
		os.Remove(filepath.Dir(p)) // succeeds if it was the last file
	}
	return nil
}

// written reports whether a file is one that this program writes.
func written(path string) bool {
	switch filepath.Ext(path) {
	case ".co", ".ptx":
		return true
	case ".go":
		b, err := os.ReadFile(path)
		return err == nil && bytes.HasPrefix(b, []byte(header))
	}
	return filepath.Base(path) == "objects.zip" || filepath.Base(path) == "SHA256SUMS"
}
