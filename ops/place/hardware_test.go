package place_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops/place"
	opship "github.com/hipengine/hipengine/ops_hip"
	"github.com/hipengine/hipengine/tensor"
)

// TestHardwareRanks adds up parts of GPUs many times and says how long it takes. HIPENGINE_TEST_RANKS names them, as in
// "cuda:0,cuda:1":
//
//	go test -c -o place.test ./ops/place
//	HIPENGINE_TEST_RANKS=cuda:0,cuda:1 ./place.test -test.v -test.run HardwareRanks
func TestHardwareRanks(t *testing.T) {
	names := os.Getenv("HIPENGINE_TEST_RANKS")
	if names == "" {
		t.Skip("SKIPPED: HIPENGINE_TEST_RANKS names no GPUs")
	}
	var parts []ops.Device
	for _, name := range strings.Split(names, ",") {
		d, err := opship.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { d.Close() })
		parts = append(parts, d)
	}
	d := newPlace(t, place.ByRank, parts...)
	t.Cleanup(func() { d.Close() })
	if r := parts[0].Caps().Ranks; r != nil {
		if m, err := r(parts); err != nil {
			t.Logf("%s copy what they add: %v", names, err)
		} else if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
	rounds, sizes := 10000, []int{5120, 512 * 5120}
	if testing.Short() { // for emulators
		rounds, sizes = 20, []int{64}
	}
	runRounds(t, d, len(parts), rounds)
	for _, elems := range sizes {
		with, without := chain(t, d, len(parts), elems, true), chain(t, d, len(parts), elems, false)
		t.Logf("%s: an all-reduce of %d floats takes %v (a product and an all-reduce %v)", names, elems, with-without, with)
	}
}

// chain returns the time of a link of a long chain of products with a vector, each with an all-reduce behind it or not.
func chain(t *testing.T, d *place.Device, ranks, elems int, reduced bool) time.Duration {
	const links, runs = 100, 20
	s, err := d.Stream()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	g := &ops.Graph{}
	x, w := make([]ops.Value, ranks), make([]ops.Value, ranks)
	in := g.Input("x", tensor.F32, 1, elems)
	for r := range x {
		v := tensor.Tensor{Name: fmt.Sprintf("half@%d", r), DType: tensor.F32, Shape: tensor.Shape{elems}}
		on, err := d.Caps().Place(ops.WeightUse{Name: v.Name, DType: v.DType, Shape: v.Shape}, ops.MemWeights)
		if err != nil {
			t.Fatal(err)
		}
		if v.Buf, err = on.Alloc(int64(4*elems), ops.MemWeights); err != nil {
			t.Fatal(err)
		}
		defer v.Buf.Free()
		if err := s.Upload(v, floats(elems, func(int) float32 { return 1 / float32(ranks) })); err != nil {
			t.Fatal(err)
		}
		w[r] = g.Weight(v)
		x[r] = ops.Mul(g, in, w[r])
	}
	for range links {
		if reduced {
			x = ops.AllReduce(g, x...)
		}
		for r := range x {
			x[r] = ops.Mul(g, x[r], w[r])
		}
	}
	p, err := d.Compile(g, nil, x...)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	best := time.Hour
	for range runs {
		start := time.Now()
		if err := s.Run(p); err != nil {
			t.Fatal(err)
		}
		if err := s.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		best = min(best, time.Since(start))
	}
	return best / links
}
