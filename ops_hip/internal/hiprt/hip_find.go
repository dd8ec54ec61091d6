//go:build linux && !nogpu

package hiprt

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/ebitengine/purego"
)

const (
	hipSoname = "libamdhip64.so"
	rtldNow   = purego.RTLD_NOW | purego.RTLD_GLOBAL
	noLoad    = 0x4 // RTLD_NOLOAD of glibc's and musl's dlfcn.h: only what is mapped already
)

// hipMajors are the versions in the library's name, in the order in which they are tried.
var hipMajors = []int{7, 6, 10, 9, 8, 5}

// finder opens libamdhip64; its members stand for the machine.
type finder struct {
	getenv func(string) string
	open   func(path string, mode int) (uintptr, error)
	glob   func(pattern string) ([]string, error)
}

// machine returns the finder of the real machine.
func machine() finder {
	return finder{os.Getenv, purego.Dlopen, filepath.Glob}
}

// find opens the library and returns the name that worked. It never opens a second one: two HSA runtimes in one
// process disturb each other. The error lists libraries that exist but cannot be loaded.
func (f finder) find() (handle uintptr, path string, err error) {
	if p := f.getenv(EnvLibrary); p != "" {
		h, err := f.open(p, rtldNow)
		if err != nil {
			return 0, "", fmt.Errorf("hiprt: %s=%s: %v: %w", EnvLibrary, p, err, ErrNoLibrary)
		}
		return h, p, nil
	}
	var names []string
	for _, m := range hipMajors {
		names = append(names, fmt.Sprintf("%s.%d", hipSoname, m))
	}
	names = append(names, hipSoname)
	for _, n := range names {
		if h, err := f.open(n, rtldNow|noLoad); err == nil {
			return h, n, nil
		}
	}
	var broken []string
	for _, n := range append(names, f.installed()...) {
		h, err := f.open(n, rtldNow)
		if err == nil {
			return h, n, nil
		}
		// The loader says "NAME: cannot open shared object file" of a file that is not there; anything else,
		// a missing dependency above all, is worth telling.
		if msg := err.Error(); !strings.HasPrefix(msg, n+": cannot open shared object file") {
			broken = append(broken, msg)
		}
	}
	if broken != nil {
		return 0, "", fmt.Errorf("hiprt: %s does not load: %s: %w", hipSoname, strings.Join(broken, "; "),
			ErrNoLibrary)
	}
	return 0, "", fmt.Errorf(
		"hiprt: no %s.N in the loader's path, $ROCM_PATH or /opt/rocm: install the HIP runtime (package libamdhip64-7, rocm-hip or hip-runtime-amd) or set %s: %w",
		hipSoname, EnvLibrary, ErrNoLibrary)
}

// installed returns library files outside the loader's path, those of the highest major version first.
func (f finder) installed() []string {
	dirs := []string{"/opt/rocm/lib", "/opt/rocm*/lib", "/opt/rocm/core-*/lib", "/usr/lib*", "/usr/lib/*"}
	if r := f.getenv("ROCM_PATH"); r != "" {
		dirs = append([]string{filepath.Join(r, "lib")}, dirs...)
	}
	var files []string
	for _, d := range dirs {
		m, _ := f.glob(filepath.Join(d, hipSoname+"*")) // the patterns are well formed
		files = append(files, m...)
	}
	slices.SortStableFunc(files, func(a, b string) int {
		return slices.Compare(soVersion(b), soVersion(a))
	})
	return slices.Compact(files)
}

// others returns the libraries beside path, which was loaded, of other major versions: one file of each, the newest
// first.
func (f finder) others(path string) (files []string) {
	seen := map[int]bool{}
	if v := soVersion(path); v != nil {
		seen[v[0]] = true
	}
	for _, file := range f.installed() {
		if v := soVersion(file); v != nil && !seen[v[0]] {
			seen[v[0]] = true
			files = append(files, file)
		}
	}
	return files
}

// soVersion returns the numbers after ".so." in a file name; none for a bare ".so".
func soVersion(path string) []int {
	_, s, _ := strings.Cut(filepath.Base(path), ".so.")
	var v []int
	for _, part := range strings.Split(s, ".") {
		n, err := strconv.Atoi(part)
		if err != nil {
			break
		}
		v = append(v, n)
	}
	return v
}

// mappedPath returns the file that a loaded library comes from, or name if that cannot be told.
func mappedPath(name string) string {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return name
	}
	for line := range strings.Lines(string(maps)) {
		if i := strings.IndexByte(line, '/'); i >= 0 &&
			strings.HasPrefix(filepath.Base(line[i:]), filepath.Base(name)) {
			return strings.TrimSpace(line[i:])
		}
	}
	return name
}
