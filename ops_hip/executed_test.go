package opship_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hipengine/hipengine/ops"
	opship "github.com/hipengine/hipengine/ops_hip"
	_ "github.com/hipengine/hipengine/ops_hip/codeobj/all"
	"github.com/hipengine/hipengine/tensor"
)

// runAdd adds two vectors of n elements on d, runs times.
func runAdd(t *testing.T, d *opship.Device, n, runs int) {
	t.Helper()
	g := &ops.Graph{}
	p, err := d.Compile(g, nil, ops.Add(g, g.Input("a", tensor.F32, n), g.Input("b", tensor.F32, n)))
	if err != nil {
		t.Fatal(err)
	}
	s, err := d.Stream()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b"} {
		in, _ := p.Input(name)
		if err := s.Upload(in, make([]byte, 4*n)); err != nil {
			t.Fatal(err)
		}
	}
	for range runs {
		if err := s.Run(p); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(s.Sync(t.Context()), s.Close(), p.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestExecuted counts a kernel whose traffic is known: an addition loads two vectors and stores one.
func TestExecuted(t *testing.T) {
	for _, target := range []string{"gfx1100", "gfx1151", "gfx1201"} {
		t.Run(target, func(t *testing.T) {
			const n, runs = 1000, 3 // a tail, and a captured graph
			d, err := opship.Open("emu:" + target)
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			if got := d.Executed(); got == nil || len(got) != 0 {
				t.Errorf("before the first launch: %v, want an empty map", got)
			}
			runAdd(t, d, n, runs)
			all := d.Executed()
			if len(all) != 1 {
				t.Fatalf("kernels %v, want one", all)
			}
			for name, k := range all {
				if k.Launches != runs || k.GlobalLoadBytes != runs*2*4*n || k.GlobalStoreBytes != runs*4*n ||
					k.ScratchBytes != 0 {
					t.Errorf("%s: %+v, want %d launches that load %d and store %d bytes", name, k, runs, runs*2*4*n,
						runs*4*n)
				}
				sum := uint64(0)
				for _, c := range k.ByClass {
					sum += c
				}
				if sum != k.Instructions || k.ByClass["vmem"] == 0 || k.Waves == 0 || k.Workgroups == 0 {
					t.Errorf("%s: classes %v do not divide %d instructions", name, k.ByClass, k.Instructions)
				}
				k.ByClass["vmem"] = 0 // must not reach the device
			}
			again := d.Executed()
			runAdd(t, d, n, runs)
			for name, k := range d.Executed() {
				if want := 2 * again[name].Instructions; k.Instructions != want ||
					k.ByClass["vmem"] != 2*again[name].ByClass["vmem"] || again[name].ByClass["vmem"] == 0 {
					t.Errorf("%s: %d instructions after the same work again, want %d (%s)", name, k.Instructions, want,
						cmp.Diff(again[name], k))
				}
			}
		})
	}
}
