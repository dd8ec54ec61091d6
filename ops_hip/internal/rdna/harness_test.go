package rdna

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"unsafe"
)

// committed targets have their objects in testdata; the others are compiled where
// clang-22 is installed, and left out with -short.
var (
	committed = []string{"gfx1100", "gfx1151", "gfx1201"}
	compiled  = []string{"gfx1101", "gfx1102", "gfx1103", "gfx1150", "gfx1200"}
)

// objects caches what was compiled, by target and name.
var objects = struct {
	sync.Mutex
	m map[string][]byte
}{m: map[string][]byte{}}

// variants maps the names of objects to source and flags, as testdata/build.sh has them.
var variants = map[string][]string{
	"norm.sunk": {"norm"}, "norm.no_barrier": {"norm", "-mllvm", "-disable-machine-sink", "-DNO_BARRIER"},
	"norm.tail":         {"norm", "-mllvm", "-disable-machine-sink", "-DTAIL_BUG"},
	"norm.flush":        {"norm", "-mllvm", "-disable-machine-sink", "-fgpu-flush-denormals-to-zero"},
	"gemm.swapped_rows": {"gemm", "-mllvm", "-disable-machine-sink", "-DSWAP_ROWS"},
}

// object returns a code object of the test kernels.
func object(t testing.TB, target, name string) []byte {
	t.Helper()
	if slices.Contains(committed, target) {
		b, err := os.ReadFile(filepath.Join("testdata", target, name+".co"))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	objects.Lock()
	defer objects.Unlock()
	key := target + "/" + name
	if b, ok := objects.m[key]; ok {
		return b
	}
	args := variants[name]
	if args == nil {
		args = []string{name, "-mllvm", "-disable-machine-sink"}
	}
	out := filepath.Join(t.TempDir(), "a.co")
	cmd := append([]string{"-x", "hip", "--cuda-device-only", "--no-gpu-bundle-output", "--offload-arch=" + target,
		"-nogpuinc", "-nogpulib", "-O3",
		"-fuse-cuid=none", "-mcode-object-version=5", "-Xclang", "-target-feature", "-Xclang", "-real-true16"},
		args[1:]...)
	if text, err := exec.Command("clang-22", append(cmd, filepath.Join("testdata", args[0]+".hip"), "-o", out)...).
		CombinedOutput(); err != nil {
		t.Fatalf("clang-22: %v\n%s", err, text)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	objects.m[key] = b
	return b
}

// everything turns all checks on: kernels that are right must pass them.
var everything = Options{Checks: Checks{AllChecks: true}}

// bench is a device with one loaded module.
type bench struct {
	t   testing.TB
	dev *Device
	mod *Module
}

// load puts a code object of the test kernels on a new device.
func load(t testing.TB, target, name string) *bench {
	t.Helper()
	return loadBytes(t, target, object(t, target, name))
}

func loadBytes(t testing.TB, target string, b []byte) *bench {
	t.Helper()
	d := NewDevice(0)
	m, err := d.Load(target, b)
	if err != nil {
		t.Fatal(err)
	}
	return &bench{t, d, m}
}

// raw views a slice of fixed-size values as bytes.
func raw[T any](s []T) []byte {
	var z T
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), len(s)*int(unsafe.Sizeof(z)))
}

// ptr is a device address in an argument list.
type ptr uint64

// up copies a slice to a buffer of exactly its size.
func up[T any](b *bench, s []T) ptr {
	b.t.Helper()
	p, err := b.dev.Alloc(int64(len(raw(s))))
	if err != nil {
		b.t.Fatal(err)
	}
	if err := b.dev.Write(p, raw(s)); err != nil {
		b.t.Fatal(err)
	}
	return ptr(p)
}

// down reads n values.
func down[T any](b *bench, p ptr, n int) []T {
	b.t.Helper()
	s := make([]T, n)
	if err := b.dev.Read(raw(s), uint64(p)); err != nil {
		b.t.Fatal(err)
	}
	return s
}

// args packs arguments with natural alignment, as HIP does.
func args(list ...any) []byte {
	var b []byte
	align := func(n int) {
		for len(b)%n != 0 {
			b = append(b, 0)
		}
	}
	for _, a := range list {
		switch v := a.(type) {
		case ptr:
			align(8)
			b = binary.LittleEndian.AppendUint64(b, uint64(v))
		case int:
			align(4)
			b = binary.LittleEndian.AppendUint32(b, uint32(int32(v)))
		case float32:
			align(4)
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
		default:
			panic(fmt.Sprintf("argument of type %T", a))
		}
	}
	return b
}

// run launches a kernel over a grid of up to three axes.
func (b *bench) run(kernel string, block uint32, grid []uint32, o Options, list ...any) (Stats, error) {
	g := [3]uint32{1, 1, 1}
	copy(g[:], grid)
	return b.mod.Launch(context.Background(), kernel, g, [3]uint32{block, 1, 1}, 0, args(list...), o)
}

// must is run for kernels that have to succeed with all checks.
func (b *bench) must(kernel string, block uint32, grid []uint32, list ...any) Stats {
	b.t.Helper()
	s, err := b.run(kernel, block, grid, everything, list...)
	if err != nil {
		b.t.Fatalf("%s: %v", kernel, err)
	}
	return s
}

func eachTarget(t *testing.T, f func(t *testing.T, target string)) {
	for _, target := range committed {
		t.Run(target, func(t *testing.T) { f(t, target) })
	}
	for _, target := range compiled {
		t.Run(target, func(t *testing.T) {
			for _, tool := range []string{"clang-22", "ld.lld-22"} {
				if _, err := exec.LookPath(tool); err != nil || testing.Short() {
					t.Skipf("SKIPPED: %s is not installed or -short is set; no committed objects for this target",
						tool)
				}
			}
			f(t, target)
		})
	}
}

func floats(r *rand.Rand, n int) []float32 {
	s := make([]float32, n)
	for i := range s {
		s[i] = float32(r.NormFloat64())
	}
	return s
}

func rng(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 7)) }

// closeTo fails unless every element is within tol of the reference, relative
// to scale; NaN fails.
func closeTo(t testing.TB, name string, got []float32, want []float64, tol, scale float64) {
	t.Helper()
	for i := range want {
		if d := math.Abs(float64(got[i]) - want[i]); !(d <= tol*math.Max(scale, math.Abs(want[i]))) {
			t.Fatalf("%s[%d] = %v, want %v", name, i, got[i], want[i])
		}
	}
}

// f16bits rounds to binary16 by search: the nearest of the candidates around x.
func f16bits(x float64) uint16 {
	best, dist := uint16(0), math.Inf(1)
	sign := uint16(0)
	if math.Signbit(x) {
		sign, x = 0x8000, -x
	}
	if x >= 65520 {
		return sign | 0x7c00
	}
	_, e := math.Frexp(x)
	e = max(e-1, -14)
	base := int(math.Floor(math.Ldexp(x, 10-e)))
	for _, m := range []int{base, base + 1} {
		d := math.Abs(math.Ldexp(float64(m), e-10) - x)
		u := uint16(m)
		if m >= 1024 {
			u = uint16(e+15)<<10 + uint16(m-1024)
		}
		if d < dist || d == dist && u&1 == 0 {
			best, dist = u, d
		}
	}
	return sign | best
}

// f16value is the value of a binary16 pattern.
func f16value(h uint16) float64 {
	e, m := int(h>>10&31), float64(h&1023)
	v := math.Ldexp(m, -24)
	switch {
	case e == 31 && m != 0:
		v = math.NaN()
	case e == 31:
		v = math.Inf(1)
	case e > 0:
		v = math.Ldexp(1024+m, e-25)
	}
	if h>>15 != 0 {
		return -v
	}
	return v
}

func halfSlice(r *rand.Rand, n int) []uint16 {
	s := make([]uint16, n)
	for i := range s {
		s[i] = f16bits(r.NormFloat64())
	}
	return s
}
