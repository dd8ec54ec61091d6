package opship

import (
	"math"
	"slices"
	"testing"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// TestSampler compares what some workgroups of a launch execute with what all do, and what a node executes alone with
// what it executes in a plan.
func TestSampler(t *testing.T) {
	const k, rows = 512, 2048
	d, err := OpenCounting("gfx1201", "", 4)
	must(t, err)
	defer func() { must(t, d.Close()) }()
	g := &ops.Graph{}
	w := tensor.Tensor{Name: "w", DType: quant.Q4_K, Shape: tensor.Shape{rows, k}}
	w.Layout = LayoutOf(ops.WeightUse{DType: w.DType, Shape: w.Shape})
	y := ops.MulMat(g, g.Input("x", tensor.F32, 1, k), g.Weight(w))
	ls, err := d.Planned(g, y)
	must(t, err)
	if len(ls) != 2 || !ls[0].Packs() || ls[1].Packs() {
		t.Fatalf("launches %+v, want a pack and a product", ls)
	}
	counted := func(groups int) KernelStats {
		s, err := NewSampler(d, groups)
		must(t, err)
		defer func() { must(t, s.Close()) }()
		ks, err := s.Node(ls[1:], func(ops.Value) []byte { return nil })
		must(t, err)
		if len(ks) != 1 {
			t.Fatalf("%d launches counted, want 1", len(ks))
		}
		return ks[0]
	}
	all, some := counted(1<<20), counted(64)
	if want := uint64(rows / 8); all.Workgroups != want || some.Workgroups != 2*pilots {
		t.Fatalf("%d and %d workgroups, want %d and %d", all.Workgroups, some.Workgroups, want, 2*pilots)
	}
	f := float64(all.Workgroups) / float64(some.Workgroups)
	for what, n := range map[string][2]uint64{"instructions": {all.Instructions, some.Instructions},
		"bytes": {all.GlobalLoadBytes, some.GlobalLoadBytes},
		"trips": {all.Trips, some.Trips}, "stores": {all.StoredOnce, some.StoredOnce}} {
		if n[1] == 0 || math.Abs(f*float64(n[1])-float64(n[0])) > 1e-9*float64(n[0]) {
			t.Errorf("%s: %d in all, %d in %d of %d workgroups", what, n[0], n[1], some.Workgroups, all.Workgroups)
		}
	}
	if all.Trips == 0 || all.FreshTrips > all.Trips || all.LongestTrips*all.Waves < all.Trips {
		t.Errorf("%d trips of %d waves, %d fresh, %d in the longest chain", all.Trips, all.Waves, all.FreshTrips,
			all.LongestTrips)
	}
	if v := ls[1].Launch.Args.Values(); len(v) != 3 || !slices.Contains(v, ls[1].Node.Result(0)) {
		t.Errorf("a product points to %v", v)
	}
}

// TestSample draws numbers from all parts of a grid, each at most once.
func TestSample(t *testing.T) {
	if sample(7, 7) != nil {
		t.Error("a grid that is small enough is sampled")
	}
	for _, all := range []uint64{8, 100, 1 << 40} {
		got := sample(all, 7)
		if len(got) != 7 || !slices.IsSorted(got) || got[6] >= all || got[6] < 6*all/7 || got[0] > all/7 ||
			len(slices.Compact(slices.Clone(got))) != 7 {
			t.Errorf("of %d: %v", all, got)
		}
		rest := slices.Clone(got)
		picked := pick(&rest)
		both := append(picked, rest...)
		slices.Sort(both)
		if len(picked) != pilots || !slices.Equal(both, got) {
			t.Errorf("of %v: %v picked, %v left", got, picked, rest)
		}
	}
}
