package cpu

import (
	"strings"
	"sync"
	"testing"

	"github.com/hipengine/hipengine/ops"
	opsref "github.com/hipengine/hipengine/ops_ref"
	"github.com/hipengine/hipengine/ops_ref/internal/cast"
	"github.com/hipengine/hipengine/tensor"
)

// embedPlan compiles the lookup of tokens in a table of 10 rows, followed by an elementwise op.
func embedPlan(t *testing.T, dev *Device, tokens int) ops.Plan {
	t.Helper()
	buf, err := dev.Alloc(10*64*4, ops.MemWeights)
	if err != nil {
		t.Fatal(err)
	}
	g := &ops.Graph{}
	table := g.Weight(tensor.Tensor{Name: "table", DType: tensor.F32, Shape: tensor.Shape{10, 64}, Buf: buf})
	p, err := dev.Compile(g, nil, ops.SiLU(g, ops.Embed(g, table, g.Input("ids", tensor.I32, tokens))))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// runIDs uploads ids and runs p.
func runIDs(t *testing.T, dev *Device, p ops.Plan, ids []int32) error {
	t.Helper()
	s, _ := dev.Stream()
	in, ok := p.Input("ids")
	if !ok {
		t.Fatal("no input")
	}
	if err := s.Upload(in, cast.AsBytes(ids)); err != nil {
		t.Fatal(err)
	}
	return s.Run(p)
}

// TestFastErrors checks that bad operands and panics of kernels end the run with an error that names the node, and
// leave plan and device usable.
func TestFastErrors(t *testing.T) {
	for _, threads := range []int{1, 2, 3} {
		dev := New(Options{Threads: threads})
		p := embedPlan(t, dev, 3)
		for range 3 {
			if err := runIDs(t, dev, p, []int32{0, 10, 1}); err == nil ||
				!strings.Contains(err.Error(), "id 10 at 1") || !strings.Contains(err.Error(), "embed") {
				t.Fatalf("%d threads: err = %v", threads, err)
			}
			if err := runIDs(t, dev, p, []int32{0, 9, 1}); err != nil {
				t.Fatalf("%d threads: after an error: %v", threads, err)
			}
		}
		broken := New(Options{Threads: threads})
		broken.override = map[*ops.Def]opsref.Kernel[float32]{
			ops.SiLUOp: func(*opsref.Call[float32]) error { panic("boom") }}
		for range 2 {
			if err := runIDs(t, broken, embedPlan(t, broken, 3), []int32{1, 2, 3}); err == nil ||
				!strings.Contains(err.Error(), "boom") {
				t.Fatalf("%d threads: err = %v", threads, err)
			}
		}
		broken.Close()
		dev.Close()
	}
}

// TestFastPlansTogether runs plans of one device from several goroutines.
func TestFastPlansTogether(t *testing.T) {
	dev := New(Options{Threads: 3})
	defer dev.Close()
	var wg sync.WaitGroup
	for i := range 4 {
		p := embedPlan(t, dev, i+1)
		wg.Go(func() {
			for range 50 {
				if err := runIDs(t, dev, p, make([]int32, i+1)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// TestReferenceKernelsInFastPlans checks nodes without a fast kernel: they run with the other workers' help.
func TestReferenceKernelsInFastPlans(t *testing.T) {
	ref, mixed := opsref.New(opsref.Options{}), New(Options{Threads: 3})
	mixed.override = map[*ops.Def]opsref.Kernel[float32]{}
	for _, d := range ops.Defs() {
		if k := opsref.KernelOf(d); k != nil {
			mixed.override[d] = k
		}
	}
	defer ref.Close()
	defer mixed.Close()
	for d := range mixed.override {
		for _, c := range d.Cases()[:1] {
			in := newOperands(t, d, c)
			want, got := compute(t, ref, d, c, in), compute(t, mixed, d, c, in)
			for r := range want {
				for j := range want[r] {
					if got[r][j] != want[r][j] {
						t.Fatalf("%s/%s: element %d of result %d is %v, want %v", d.Name, c.Name, j, r, got[r][j],
							want[r][j])
					}
				}
			}
		}
	}
}
