package opship

import (
	"errors"
	"slices"
	"testing"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_hip/internal/fakert"
	"github.com/hipengine/hipengine/ops_hip/internal/hiprt"
	"github.com/hipengine/hipengine/tensor"
)

const gib = 1 << 30

// strixHalo is a machine with 128 GiB, of which a GPU has 0.5 at boot and may map 110.
func strixHalo() *hiprt.SharedMemory {
	return &hiprt.SharedMemory{Carveout: gib / 2, CarveoutUsed: gib / 4, Mapped: 110 * gib, Available: 120 * gib}
}

// TestFreeBytes has one case for each rule of what counts as free.
func TestFreeBytes(t *testing.T) {
	for _, c := range []struct {
		name       string
		integrated bool
		reported   [2]int64 // free and total in the words of the runtime
		fail       error
		shared     *hiprt.SharedMemory
		held       int64 // allocated before
		want       int64
		total      int64
		err        string
	}{
		{"discrete: as the runtime says", false, [2]int64{20 * gib, 24 * gib}, nil, strixHalo(), 1 << 20, 20 * gib,
			24 * gib, ""},
		{"discrete: a negative number is nothing", false, [2]int64{-5, 24 * gib}, nil, nil, 0, 0, 24 * gib, ""},
		{"discrete: no total is no answer", false, [2]int64{0, 0}, nil, nil, 0, 0, 0, "does not know"},
		{"discrete: an error is no answer", false, [2]int64{1, 1}, errors.New("stuck"), nil, 0, 0, 0, "stuck"},
		{"integrated: carve-out and mapped memory, not the part that the runtime reports", true,
			[2]int64{15 * gib, 16 * gib}, nil, strixHalo(), 0,
			110*gib + gib/2, 110*gib + gib/2, ""},
		{"integrated: the runtime's total if it is larger", true, [2]int64{1, 112 * gib}, nil, strixHalo(), 0,
			112 * gib, 112 * gib, ""},
		{"integrated: less what this process holds, whatever the driver says", true, [2]int64{0, 0}, nil, strixHalo(),
			1 << 20,
			110*gib + gib/2 - 1<<20, 110*gib + gib/2, ""},
		{"integrated: no more than the host has, and the rest of the carve-out", true, [2]int64{60 * gib, 62 * gib},
			nil,
			&hiprt.SharedMemory{Carveout: gib / 2, CarveoutUsed: gib / 4, Mapped: 110 * gib, Available: 30 * gib}, 0,
			30*gib + gib/4, 110*gib + gib/2, ""},
		{"integrated: a runtime that fails does not matter", true, [2]int64{0, 0}, errors.New("stuck"), strixHalo(),
			0, 110*gib + gib/2, 110*gib + gib/2, ""},
		{"integrated: the runtime's word where the system has none", true, [2]int64{7 * gib, 8 * gib}, nil, nil,
			0, 7 * gib, 8 * gib, ""},
		{"integrated: host memory not known", true, [2]int64{0, 0}, nil, &hiprt.SharedMemory{Mapped: 8 * gib}, 0,
			8 * gib, 8 * gib, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, rt := apu(t, c.integrated, c.shared)
			defer closing(t, d.Close)
			if c.held > 0 {
				b, err := d.Alloc(c.held, ops.MemState)
				must(t, err)
				defer closing(t, b.Free)
			}
			rt.Reported = &c.reported
			rt.Fail["MemInfo"] = []error{c.fail, c.fail}
			got, err := d.Caps().Free()
			if c.err != "" {
				wantError(t, err, "hip:0", "free memory", c.err)
				return
			}
			must(t, err)
			_, total, _ := d.memory()
			if got != c.want || total != c.total {
				t.Errorf("%d of %d free, want %d of %d", got, total, c.want, c.total)
			}
		})
	}
}

// apu opens a device on a fake runtime.
func apu(t *testing.T, integrated bool, shared *hiprt.SharedMemory) (*Device, *fakert.Runtime) {
	t.Helper()
	rt := fakert.New("gfx1100", goKernels)
	rt.Props[0].Integrated, rt.Shared = integrated, shared
	d, err := openOn(rt, "hip:0", 0, Options{CodeObjects: objectDir(t), kernels: testRegistry()})
	must(t, err)
	return d, rt
}

// TestIntegratedInfo checks that a device is listed with all the memory that it can use, not with its carve-out.
func TestIntegratedInfo(t *testing.T) {
	for _, c := range []struct {
		name       string
		integrated bool
		want       int64
	}{{"integrated", true, 110*gib + gib/2}, {"discrete", false, gib}} {
		d, _ := apu(t, c.integrated, strixHalo())
		if got := d.Info().Memory; got != c.want {
			t.Errorf("%s: %d bytes, want %d", c.name, got, c.want)
		}
		closing(t, d.Close)
	}
}

// TestIntegratedMemory checks which memory is used for what: device memory, neither managed nor registered, for all
// that kernels read, written once by way of a small ring; pinned memory, which the GPU does not cache, for the ring.
func TestIntegratedMemory(t *testing.T) {
	d, rt := apu(t, true, strixHalo())
	defer closing(t, d.Close)
	s, err := d.Stream()
	must(t, err)
	defer closing(t, s.Close)
	rt.Calls()
	const size = slotBytes + 5
	for _, kind := range []ops.MemKind{ops.MemWeights, ops.MemState} {
		b, err := d.Alloc(size, kind)
		must(t, err)
		defer closing(t, b.Free)
		must(t, s.Upload(tensor.Tensor{Name: "w", DType: tensor.I8, Shape: tensor.Shape{size}, Buf: b},
			make([]byte, size)))
	}
	must(t, s.Sync(t.Context()))
	count := map[string]int{}
	for _, c := range rt.Calls() {
		count[c]++
	}
	if count["Malloc"] != 2 || count["HostAlloc"] != 3 || count["CopyToDevice"] != 4 {
		t.Errorf("calls %v; want memory of the device for 2 buffers, 3 slots of host memory, and 4 copies", count)
	}
	if b := d.Used(); b != 2*size {
		t.Errorf("the ledger has %d bytes, want %d", b, 2*size)
	}
}

// TestOutOfMemory checks that allocating is the last word: its error can be told from others and says what is free.
func TestOutOfMemory(t *testing.T) {
	d, rt := apu(t, true, strixHalo())
	defer closing(t, d.Close)
	rt.Limit = 1 << 20
	_, err := d.Alloc(1<<21, ops.MemWeights)
	if !errors.Is(err, ops.ErrOutOfMemory) {
		t.Errorf("error %v is not ops.ErrOutOfMemory", err)
	}
	wantError(t, err, "2.0 MiB of weights", "110.5 GiB of 110.5 GiB free", "holds nothing")
}

// TestPlanBytes compares what a plan was said to take with what it takes.
func TestPlanBytes(t *testing.T) {
	d, rt := fakeDevice(t, Options{})
	defer closing(t, d.Close)
	g := &ops.Graph{}
	y := model(g, 30, 70, tensor.Tensor{Name: "w", DType: tensor.F32, Shape: tensor.Shape{70}})
	rt.Calls()
	n, err := d.Caps().PlanBytes(g, y)
	must(t, err)
	if calls := rt.Calls(); slices.Contains(calls, "Malloc") || slices.Contains(calls, "HostAlloc") {
		t.Errorf("planning allocates: %v", calls)
	}
	buf, err := d.Alloc(4*70, ops.MemWeights)
	must(t, err)
	defer closing(t, buf.Free)
	g = &ops.Graph{}
	y = model(g, 30, 70, tensor.Tensor{Name: "w", DType: tensor.F32, Shape: tensor.Shape{70}, Buf: buf})
	before := d.Used()
	p, err := d.Compile(g, nil, y)
	must(t, err)
	defer closing(t, p.Close)
	if took := d.Used() - before; took != n || n < 4*30*70 {
		t.Errorf("the plan takes %d bytes, planned were %d", took, n)
	}
}
