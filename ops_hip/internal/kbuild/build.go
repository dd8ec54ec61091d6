package main

import (
	"archive/zip"
	"bytes"
	"cmp"
	"compress/flate"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/hipengine/hipengine/ops_hip/codeobj"
	"github.com/hipengine/hipengine/ops_hip/internal/kmeta"
)

// maxTotal is the budget of all objects together, compressed.
const maxTotal = 13 << 20

// pinned is the major version of the compiler. Others give other code. Releases before 20 lack the wait that GFX12
// needs between vector reads of a scalar register, its next write and the read after that.
const pinned = "clang version 22."

// amdFlags and nvidiaFlags compile for one target without headers or libraries of ROCm or CUDA. -fuse-cuid=none and
// -ffile-prefix-map keep the folder out of the object. Code object version 5 is the last that all supported runtimes
// load. Machine sinking lengthens the lives of registers until kernels spill. Real true16 addresses halves of
// vector registers, in encodings that the emulator does not know, and gains nothing: on gfx1100, 233,331 instructions
// in place of 233,723 in all kernels, and as many registers; on gfx1201 it changes nothing.
func amdFlags(target string) []string {
	return []string{"-x", "hip", "--cuda-device-only", "--no-gpu-bundle-output", "--offload-arch=" + target,
		"-nogpuinc", "-nogpulib",
		"-O3", "-fuse-cuid=none", "-mcode-object-version=5", "-mllvm", "-disable-machine-sink",
		"-Xclang", "-target-feature", "-Xclang", "-real-true16"}
}

func nvidiaFlags(target string) []string {
	return []string{"-x", "cuda", "--cuda-gpu-arch=" + target, "-nocudainc", "-nocudalib", "--cuda-device-only", "-O3",
		"-Xclang", "-target-feature", "-Xclang", "+ptx80", "-S"}
}

func flags(target string) ([]string, error) {
	switch {
	case strings.HasPrefix(target, "gfx"):
		return amdFlags(target), nil
	case strings.HasPrefix(target, "sm_"):
		return nvidiaFlags(target), nil
	}
	return nil, fmt.Errorf("target %q is neither gfx* nor sm_*", target)
}

// builder compiles the kernels of one folder.
type builder struct {
	compiler, version string
	dir               string
	kernels           []string // *.hip in dir
	sources           string   // hash of all sources
}

func newBuilder(compiler, dir string) (*builder, error) {
	out, err := exec.Command(compiler, "--version").Output()
	if err != nil {
		return nil, fmt.Errorf("compiler %s: %w (Debian package clang-22, and lld-22)", compiler, err)
	}
	version, _, _ := strings.Cut(string(out), "\n")
	if !strings.Contains(version, pinned) {
		return nil, fmt.Errorf("compiler %s is %q, the kernels are built with %s*", compiler, version, pinned)
	}
	b := &builder{compiler: compiler, version: version, dir: dir}
	if b.kernels, err = filepath.Glob(filepath.Join(dir, "*.hip")); err != nil {
		return nil, err
	}
	b.sources, err = hashSources(dir)
	return b, err
}

// include matches the lines that name other files.
var include = regexp.MustCompile(`(?m)^#include "(.*)"`)

// hashSources returns a hash of the names and contents of all sources in dir, and of what they include from elsewhere.
func hashSources(dir string) (string, error) {
	h := sha256.New()
	var files []string
	for _, pattern := range []string{"*.hip", "*.h", "*.def"} {
		paths, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return "", err
		}
		files = append(files, paths...)
	}
	for i := 0; i < len(files); i++ {
		src, err := os.ReadFile(files[i])
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%s %d\n", filepath.Base(files[i]), len(src))
		h.Write(src)
		for _, m := range include.FindAllSubmatch(src, -1) {
			if p := filepath.Join(filepath.Dir(files[i]), string(m[1])); !slices.Contains(files, p) {
				files = append(files, p)
			}
		}
	}
	return fmt.Sprintf("%x", h.Sum(nil)), nil
}

// build compiles all kernels for a target and returns the objects by file name.
func (b *builder) build(target string) (map[string][]byte, error) {
	fl, err := flags(target)
	if err != nil {
		return nil, err
	}
	tmp, err := os.MkdirTemp("", "kbuild")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	objects := make([][]byte, len(b.kernels))
	errs := make([]error, len(b.kernels))
	var next atomic.Int32
	done := make(chan struct{})
	workers := runtime.GOMAXPROCS(0)
	for range workers {
		go func() {
			for i := int(next.Add(1)) - 1; i < len(b.kernels); i = int(next.Add(1)) - 1 {
				objects[i], errs[i] = b.compile(b.kernels[i], target, fl, tmp)
			}
			done <- struct{}{}
		}()
	}
	for range workers {
		<-done
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	m := map[string][]byte{}
	for i, k := range b.kernels {
		m[objectName(k, target)] = objects[i]
	}
	return m, nil
}

func objectName(source, target string) string {
	return strings.TrimSuffix(filepath.Base(source), ".hip") + codeobj.Ext(target)
}

// compile runs the compiler in the folder of the source, so that no path gets into the object, and checks that the
// kernels keep the rules.
func (b *builder) compile(source, target string, fl []string, tmp string) ([]byte, error) {
	out := filepath.Join(tmp, objectName(source, target))
	dir, err := filepath.Abs(filepath.Dir(source))
	if err != nil {
		return nil, err
	}
	args := append(slices.Clone(fl), "-ffile-prefix-map="+dir+"=.", filepath.Base(source), "-o", out)
	cmd := exec.Command(b.compiler, args...)
	cmd.Dir = dir
	if msg, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s for %s: %w\n%s", source, target, err, msg)
	}
	image, err := os.ReadFile(out)
	if err != nil {
		return nil, err
	}
	if sm, ok := strings.CutPrefix(target, "sm_"); ok && sm >= "90" {
		if image, err = withWaits(image); err != nil {
			return nil, fmt.Errorf("%s for %s: %w", source, target, err)
		}
	}
	o, err := kmeta.Read(image)
	if err != nil {
		return nil, fmt.Errorf("%s for %s: %w", source, target, err)
	}
	if o.Target != target {
		return nil, fmt.Errorf("%s for %s: object is for %q", source, target, o.Target)
	}
	if err := kmeta.CheckCode(image); err != nil {
		return nil, fmt.Errorf("%s for %s: %w", source, target, err)
	}
	return image, nil
}

var (
	ptxEntry = regexp.MustCompile(`\.visible\s+\.entry\s`)
	ptxStart = regexp.MustCompile(`(?m)^// %bb\.0:.*\n`) // where the compiler says that a body's instructions start
)

// withWaits lets the kernels of a PTX file that do not wait for the launches before them begin with that.
func withWaits(ptx []byte) ([]byte, error) {
	starts := append(ptxEntry.FindAllIndex(ptx, -1), []int{len(ptx)})
	out := slices.Clone(ptx[:starts[0][0]])
	for i, at := range starts[:len(starts)-1] {
		body := ptx[at[0]:starts[i+1][0]]
		if !bytes.Contains(body, []byte("griddepcontrol.wait;")) {
			first := ptxStart.FindIndex(body)
			if first == nil {
				return nil, errors.New("a kernel has no first block")
			}
			out = append(append(out, body[:first[1]]...), "\tgriddepcontrol.wait;\n"...)
			body = body[first[1]:]
		}
		out = append(out, body...)
	}
	return out, nil
}

// sums returns the SHA256SUMS file of a target.
func (b *builder) sums(target string, objects map[string][]byte) []byte {
	fl, _ := flags(target) // build checked the target
	var s bytes.Buffer
	fmt.Fprintf(&s, "# compiler: %s\n# flags: %s\n# sources: %s\n", b.version, strings.Join(fl, " "), b.sources)
	for _, name := range slices.Sorted(maps.Keys(objects)) {
		fmt.Fprintf(&s, "%x  %s\n", sha256.Sum256(objects[name]), name)
	}
	return s.Bytes()
}

// header starts every Go file that is written.
const header = "// Code generated by kbuild. DO NOT EDIT.\n"

// bases are targets whose objects are kept as what they differ in from another target's. Their files shrink to 1 %
// (gfx1201), 3 % (sm_90), 14 % (gfx1151), 16 % (gfx1102), 17 % (gfx1101) and 30 % (gfx1103).
var bases = map[string]string{"gfx1101": "gfx1100", "gfx1102": "gfx1100", "gfx1103": "gfx1100", "gfx1151": "gfx1150",
	"gfx1201": "gfx1200", "sm_90": "sm_80"}

// addPackage adds the files of a target's package. all holds the objects of every target.
func addPackage(files map[string][]byte, target string, sums []byte, all map[string]map[string][]byte) error {
	objects, pkg := all[target], packageName(target)
	base, ok := bases[target]
	if ok && all[base] == nil {
		return fmt.Errorf("%s is kept as a difference from %s, which is not built", target, base)
	}
	imports, register := "", fmt.Sprintf("RegisterZip(%q, %q, objects)", target, owner)
	if ok {
		deltas := map[string][]byte{}
		for name, object := range objects {
			deltas[name] = codeobj.Delta(all[base][name], object)
		}
		objects = deltas
		imports = fmt.Sprintf("\t_ %q // deltas are from its objects\n", owner+"/ops_hip/codeobj/"+base)
		register = fmt.Sprintf("RegisterDeltas(%q, %q, %q, objects)", target, owner, base)
	}
	z, err := pack(objects)
	if err != nil {
		return err
	}
	files[target+"/objects.zip"] = z
	files[target+"/SHA256SUMS"] = sums
	files[target+"/"+pkg+".go"] = fmt.Appendf([]byte(header), `
// Package %[1]s holds the kernels for target %[2]s; importing it links them.
package %[1]s

import (
	_ "embed" // for objects.zip

	"github.com/hipengine/hipengine/ops_hip/codeobj"
%[3]s)

//go:embed objects.zip
var objects []byte

func init() { codeobj.%[4]s }
`, pkg, target, imports, register)
	return nil
}

// owner is the module that the shipped objects belong to.
const owner = "github.com/hipengine/hipengine"

// objectsOf returns the objects of the targets whose packages are among the files.
func objectsOf(files map[string][]byte, targets []string) (map[string]map[string][]byte, error) {
	all := map[string]map[string][]byte{}
	for _, t := range slices.SortedFunc(slices.Values(targets), func(a, b string) int {
		return cmp.Or(len(bases[a])-len(bases[b]), strings.Compare(a, b)) // those without a base first
	}) {
		var err error
		if all[t], err = unpack(files[t+"/objects.zip"]); err != nil {
			return nil, err
		}
		base, ok := bases[t]
		for name := range all[t] {
			if !ok {
				break
			}
			if all[t][name], err = codeobj.Patch(all[base][name], all[t][name]); err != nil {
				return nil, fmt.Errorf("%s for %s: %w", name, t, err)
			}
		}
	}
	return all, nil
}

// pack returns a zip file of the objects, in alphabetical order and without times.
func pack(objects map[string][]byte) ([]byte, error) {
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	w.RegisterCompressor(zip.Deflate, func(out io.Writer) (io.WriteCloser, error) {
		return flate.NewWriter(out, flate.BestCompression)
	})
	for _, name := range slices.Sorted(maps.Keys(objects)) {
		f, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate})
		if err != nil {
			return nil, err
		}
		if _, err := f.Write(objects[name]); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// unpack returns the files in a zip file.
func unpack(data []byte) (map[string][]byte, error) {
	r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, err
	}
	m := map[string][]byte{}
	for _, f := range r.File {
		if m[f.Name], err = fs.ReadFile(r, f.Name); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func packageName(target string) string { return strings.ReplaceAll(target, "_", "") }

// allFile returns the Go file that imports every target.
func allFile(targets []string) []byte {
	var s bytes.Buffer
	s.WriteString(header + "\n// Package all links the kernels of every shipped target.\npackage all\n\nimport (\n")
	for _, t := range slices.Sorted(slices.Values(targets)) {
		fmt.Fprintf(&s, "\t_ \"github.com/hipengine/hipengine/ops_hip/codeobj/%s\"\n", t)
	}
	s.WriteString(")\n")
	return s.Bytes()
}
