package opship

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_hip/internal/hiprt"
	"github.com/hipengine/hipengine/tensor"
)

// The tests below need a device. They carry their kernels, so that the test binary can be copied to a machine that has
// one:
//
//	go test -c -o opship.test ./ops_hip && ./opship.test -test.v -test.run 'TestCUDA|TestHIP'

func TestCUDA(t *testing.T) { testHardware(t, "cuda:0") }
func TestHIP(t *testing.T)  { testHardware(t, "hip:0") }
func TestEmulator(t *testing.T) {
	for _, target := range []string{"gfx1100", "gfx1201"} {
		t.Run(target, func(t *testing.T) { testHardware(t, "emu:"+target) })
	}
}

// hardware opens a device with the test kernels, or skips.
func hardware(t testing.TB, name string, o Options) *Device {
	t.Helper()
	kind, _, _ := strings.Cut(name, ":")
	if !slices.Contains(hiprt.Names(), kind) {
		t.Skipf("SKIP: runtime %s is not compiled in", kind)
	}
	o.kernels, o.CodeObjects = testRegistry(), objectDir(t)
	d, err := OpenWith(name, o)
	if IsNoDevice(err) {
		t.Skipf("SKIP: no %s: %v", name, err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func testHardware(t *testing.T, name string) {
	d := hardware(t, name, Options{})
	t.Logf("testing on %+v, target %+v", d.Info(), d.Target())
	closing(t, d.Close)
	t.Run("plans", func(t *testing.T) {
		for _, s := range [][2]int{{1, 1}, {3, 67}, {5, 256}, {64, 1025}} {
			var got [][]byte
			for _, direct := range []bool{false, true} {
				d := hardware(t, name, Options{Direct: direct})
				result, mode := runModel(t, d, s[0], s[1], 3)
				got = append(got, result)
				if (mode == "direct") != direct {
					t.Errorf("%v: mode %q", s, mode)
				}
				closing(t, d.Close)
			}
			if !bytes.Equal(got[0], got[1]) {
				t.Errorf("%v: results of graph and direct launches differ", s)
			}
		}
	})
	t.Run("graph", func(t *testing.T) { testGraph(t, hardware(t, name, Options{})) })
	t.Run("memory", func(t *testing.T) { testMemory(t, hardware(t, name, Options{})) })
	t.Run("transfers", func(t *testing.T) { testBigTransfer(t, hardware(t, name, Options{})) })
	t.Run("arena", func(t *testing.T) { testArena(t, hardware(t, name, Options{})) })
	t.Run("on device", func(t *testing.T) { testOnDevice(t, hardware(t, name, Options{})) })
	t.Run("reopen", func(t *testing.T) { // threads and contexts come and go
		for range 3 {
			d := hardware(t, name, Options{})
			runModel(t, d, 2, 33, 2)
			closing(t, d.Close)
		}
	})
	t.Run("listed", func(t *testing.T) {
		for _, f := range Devices() {
			t.Logf("%s: %s, %s, integrated %v: %v", f.Info.Name, f.Info.Model, size(f.Info.Memory), f.Integrated,
				f.Err)
		}
	})
	if strings.HasPrefix(name, "cuda") {
		t.Run("compiler messages", func(t *testing.T) { testJITError(t, name) })
	}
	if !strings.HasPrefix(name, "emu") {
		t.Run("fault", func(t *testing.T) { testFault(t, name) })
	}
}

// A graph is captured on hardware, not only tried.
func testGraph(t *testing.T, d *Device) {
	defer closing(t, d.Close)
	s, err := d.Stream()
	if err != nil {
		t.Fatal(err)
	}
	defer closing(t, s.Close)
	g := &ops.Graph{}
	x := g.Input("x", tensor.F32, 1000)
	for range 50 {
		x = ops.Scale(g, ops.Add(g, x, x), 0.5)
	}
	p, err := d.compile(g, nil, []ops.Value{x})
	if err != nil {
		t.Fatal(err)
	}
	defer closing(t, p.Close)
	in, _ := p.Input("x")
	want := normal(rand.New(rand.NewPCG(3, 4)), 1000)
	got := make([]byte, 4000)
	for run := range 3 { // direct, captured, replayed
		clear(got)
		if err := errors.Join(s.Upload(in, raw(want)), s.Run(p), s.Download(got, p.Output(0)),
			s.Sync(t.Context())); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, raw(want)) {
			t.Errorf("run %d: doubling and halving 50 times changed the values", run)
		}
	}
	if m := p.Mode(); m != "graph" && !strings.Contains(m, hiprt.ErrNoGraphs.Error()) {
		t.Errorf("the plan runs as %q", m)
	}
	runs := 200
	if strings.HasPrefix(d.Info().Name, "emu") {
		runs = 2
	}
	start := time.Now()
	for range runs {
		if err := s.Run(p); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Logf("mode %s: %v per run of %d launches", p.Mode(), time.Since(start)/time.Duration(runs), len(p.launches))
}

// Fresh memory is zero, errors of a full device name sizes, and everything comes back.
func testMemory(t *testing.T, d *Device) {
	defer closing(t, d.Close)
	s, err := d.Stream()
	if err != nil {
		t.Fatal(err)
	}
	defer closing(t, s.Close)
	for range 2 {
		b, err := d.Alloc(100001, ops.MemState)
		if err != nil {
			t.Fatal(err)
		}
		place := tensor.Tensor{Name: "s", DType: tensor.I8, Shape: tensor.Shape{100001}, Buf: b}
		got := bytes.Repeat([]byte{1}, 100001)
		if err := errors.Join(s.Download(got, place), s.Sync(t.Context())); err != nil {
			t.Fatal(err)
		}
		if i := bytes.IndexFunc(got, func(r rune) bool { return r != 0 }); i >= 0 {
			t.Errorf("byte %d of fresh memory is %d", i, got[i])
		}
		if err := s.Upload(place, bytes.Repeat([]byte{7}, 100001)); err != nil { // the next round may get it again
			t.Fatal(err)
		}
		if err := s.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		closing(t, b.Free)
	}
	if strings.HasPrefix(d.Info().Name, "emu") {
		return
	}
	_, err = d.Alloc(1<<44, ops.MemWeights)
	if !errors.Is(err, hiprt.ErrOutOfMemory) {
		t.Errorf("error %v does not wrap ErrOutOfMemory", err)
	}
	wantError(t, err, d.Info().Name, "16384.0 GiB of weights", "free; this process holds")
	t.Log(err)
	pinned, err := d.Alloc(1<<20, ops.MemPinned)
	if err != nil {
		t.Fatal(err)
	}
	closing(t, pinned.Free)
	if u := d.Used(); u != 0 {
		t.Errorf("%d bytes in use after all were freed", u)
	}
}

// A transfer of many times the ring's size arrives.
func testBigTransfer(t *testing.T, d *Device) {
	defer closing(t, d.Close)
	n := 5*slotCount*slotBytes + 12345
	if strings.HasPrefix(d.Info().Name, "emu") || testing.Short() {
		n = slotCount*slotBytes + 12345
	}
	b, err := d.Alloc(int64(n), ops.MemWeights)
	if err != nil {
		t.Fatal(err)
	}
	defer closing(t, b.Free)
	s, err := d.Stream()
	if err != nil {
		t.Fatal(err)
	}
	defer closing(t, s.Close)
	sent, got := make([]byte, n), make([]byte, n)
	rand.NewChaCha8([32]byte{9}).Read(sent)
	place := tensor.Tensor{Name: "w", DType: tensor.I8, Shape: tensor.Shape{n}, Buf: b}
	start := time.Now()
	if err := errors.Join(s.Upload(place, sent), s.Sync(t.Context())); err != nil {
		t.Fatal(err)
	}
	up := time.Since(start)
	start = time.Now()
	if err := errors.Join(s.Download(got, place), s.Sync(t.Context())); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes: up %.1f GB/s, down %.1f GB/s", n, float64(n)/up.Seconds()/1e9,
		float64(n)/time.Since(start).Seconds()/1e9)
	if !bytes.Equal(sent, got) {
		t.Error("the transfer differs")
	}
}

// The driver's compiler is quoted when it refuses a kernel.
func testJITError(t *testing.T, name string) {
	d := hardware(t, name, Options{})
	defer closing(t, d.Close)
	target := d.Info().Target
	path := filepath.Join(d.opt.CodeObjects, target, "elementwise.ptx")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	broken := strings.Replace(string(b), "ld.param", "nosuchinstruction", 1)
	if err := os.WriteFile(path, []byte(broken), 0o644); err != nil {
		t.Fatal(err)
	}
	g := &ops.Graph{}
	_, err = d.Compile(g, nil, ops.Scale(g, g.Input("x", tensor.F32, 5), 2))
	wantError(t, err, "elementwise", "cuModuleLoadDataEx", "nosuchinstruction")
	t.Log(err)
}

// A kernel that writes where it must not is an error of the stream, in a process of its own since the device is
// lost for it.
func testFault(t *testing.T, name string) {
	cmd := exec.Command(os.Args[0], "-test.run=^TestFaultChild$", "-test.v")
	cmd.Env = append(os.Environ(), faultEnv+"="+name)
	out, err := cmd.CombinedOutput()
	t.Logf("%v\n%s", err, out)
	// HIP ends the process itself; what it prints names the fault.
	if !strings.Contains(string(out), "earlier asynchronous call") &&
		!strings.Contains(string(out), "Memory access fault") {
		t.Error("the fault is not reported")
	}
}

const faultEnv = "OPSHIP_TEST_FAULT"

func TestFaultChild(t *testing.T) {
	name := os.Getenv(faultEnv)
	if name == "" {
		t.Skip("runs in a process of its own, started by hardware tests")
	}
	d := hardware(t, name, Options{})
	s, err := d.Stream()
	if err != nil {
		t.Fatal(err)
	}
	g := &ops.Graph{}
	p, err := d.compile(g, nil, []ops.Value{ops.Scale(g, g.Input("x", tensor.F32, 5), 2)})
	if err != nil {
		t.Fatal(err)
	}
	for i := range p.args.host.Bytes[24:32] { // the address of the result
		p.args.host.Bytes[24+i] = 0
	}
	fmt.Println("FAULT", errors.Join(s.Run(p), s.Sync(t.Context())))
}
