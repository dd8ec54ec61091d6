package cpu

import (
	"math"
	"math/rand/v2"
	"runtime"
	"runtime/metrics"
	"sync"
	"testing"
	"time"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_ref/internal/cast"
	"github.com/hipengine/hipengine/ops_ref/internal/simd"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// pauses returns how often the collector has stopped the world, by duration.
func pauses(t *testing.T) *metrics.Float64Histogram {
	t.Helper()
	s := []metrics.Sample{{Name: "/sched/pauses/total/gc:seconds"}}
	metrics.Read(s)
	if s[0].Value.Kind() != metrics.KindFloat64Histogram {
		t.Fatalf("no metric %s", s[0].Name)
	}
	return s[0].Value.Float64Histogram()
}

// spin keeps two threads busy with Go code, which can be stopped anywhere.
func spin() {
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for start := time.Now(); time.Since(start) < time.Millisecond; {
				for range 1000 {
				}
			}
		})
	}
	wg.Wait()
}

// medianPause returns the median of pauses, in seconds rounded up, while run is called again and again.
func medianPause(t *testing.T, run func()) float64 {
	t.Helper()
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
				runtime.GC()
			}
		}
	}()
	before := pauses(t)
	var after *metrics.Float64Histogram
	var all, seen uint64
	for start := time.Now(); all < 5 && time.Since(start) < 10*time.Second; {
		for slice := time.Now(); time.Since(slice) < 300*time.Millisecond; {
			run()
		}
		all, after = 0, pauses(t)
		for i := range after.Counts {
			after.Counts[i] -= before.Counts[i]
			all += after.Counts[i]
		}
	}
	close(stop)
	<-done
	if all < 5 {
		t.Fatalf("only %d pauses", all)
	}
	for i, n := range after.Counts {
		if seen += n; 2*seen >= all {
			t.Logf("%d pauses, half of them below %.3g s", all, after.Buckets[i+1])
			return after.Buckets[i+1]
		}
	}
	return math.Inf(1)
}

// TestPauses checks that kernels let the collector stop the world: assembly cannot be interrupted, so that no call may
// be long and each must come from a function that can be. Half of the pauses must be below a millisecond, or below
// twice what Go code alone sees at the time, on a machine that is busy otherwise; the longest are made by the
// operating system, when it takes the processor from a thread in assembly.
func TestPauses(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: -short leaves what takes a machine for itself to make long")
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(max(2, runtime.GOMAXPROCS(0)))) // the collector runs beside calls
	const dim, positions = 4096, 4096
	r := rand.New(rand.NewPCG(5, 5))
	dev := New(Options{Threads: 2})
	defer dev.Close()
	s, _ := dev.Stream()
	matrix := func(dt tensor.DType, shape ...int) tensor.Tensor {
		n, err := tensor.Bytes(dt, shape)
		if err != nil {
			t.Fatal(err)
		}
		buf, err := dev.Alloc(n, ops.MemWeights)
		if err != nil {
			t.Fatal(err)
		}
		x := tensor.Tensor{DType: dt, Shape: shape, Buf: buf,
			Layout: dev.Layout(ops.WeightUse{DType: dt, Shape: shape})}
		row := make([]float32, shape[len(shape)-1])
		f, _ := dt.Format()
		size := len(row) / f.Block * f.Bytes
		raw := make([]byte, n)
		for i := range row {
			row[i] = float32(r.NormFloat64())
		}
		f.Quant(raw[:size], row)
		for i := size; i < len(raw); i += size {
			copy(raw[i:], raw[:size])
		}
		if err := s.Upload(x, raw); err != nil {
			t.Fatal(err)
		}
		return x
	}
	weights := map[string]tensor.Tensor{"Q4_K": matrix(quant.Q4_K, dim, dim), "Q2_K": matrix(quant.Q2_K, dim/4, dim),
		"F16": matrix(tensor.F16, dim/4, dim)}
	ids := matrix(tensor.F32, 8, dim)
	multiply := func(typ string, tokens int) (ops.Plan, map[string][]int32) {
		g := &ops.Graph{}
		p, err := dev.Compile(g, nil,
			ops.MulMat(g, ops.Embed(g, g.Weight(ids), g.Input("ids", tensor.I32, tokens)), g.Weight(weights[typ])))
		if err != nil {
			t.Fatal(err)
		}
		return p, map[string][]int32{"ids": make([]int32, tokens)}
	}
	attend := func(tokens int) (ops.Plan, map[string][]int32) {
		const heads, headDim, page = 8, 128, 64
		q, k, v := matrix(tensor.F32, tokens, heads, headDim), matrix(tensor.F16, positions/page, page, 2, headDim),
			matrix(tensor.F16, positions/page, page, 2, headDim)
		in := map[string][]int32{"pos": make([]int32, tokens), "seq": make([]int32, tokens),
			"pages": make([]int32, positions/page)}
		for i := range in["pos"] {
			in["pos"][i] = int32(positions - tokens + i)
		}
		for i := range in["pages"] {
			in["pages"][i] = int32(i)
		}
		g := &ops.Graph{}
		p, err := dev.Compile(g, nil,
			ops.Attention(g, g.Weight(q), g.Weight(k), g.Weight(v), g.Input("pos", tensor.I32, tokens),
				g.Input("seq", tensor.I32, tokens), g.Input("pages", tensor.I32, 1, positions/page), ops.Value{},
				ops.AttentionAttrs{Scale: 0.1}))
		if err != nil {
			t.Fatal(err)
		}
		return p, in
	}
	if long := medianPause(t, func() { simd.Pause(1 << 19) }); simd.Current() != simd.Generic && long < 1e-3 {
		t.Fatalf("half of the pauses are below %g s beside calls that take longer: pauses are not seen", long)
	}
	for _, c := range []struct {
		name string
		make func() (ops.Plan, map[string][]int32)
	}{
		{"Q4_K one token", func() (ops.Plan, map[string][]int32) { return multiply("Q4_K", 1) }},
		{"Q4_K 512 tokens", func() (ops.Plan, map[string][]int32) { return multiply("Q4_K", 512) }},
		{"Q2_K 64 tokens", func() (ops.Plan, map[string][]int32) { return multiply("Q2_K", 64) }},
		{"F16 512 tokens", func() (ops.Plan, map[string][]int32) { return multiply("F16", 512) }},
		{"attention one token", func() (ops.Plan, map[string][]int32) { return attend(1) }},
		{"attention 256 tokens", func() (ops.Plan, map[string][]int32) { return attend(256) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, in := c.make()
			var long, alone float64
			for range 3 { // other work on the machine comes and goes
				long = medianPause(t, func() {
					for name, v := range in {
						x, _ := p.Input(name)
						if err := s.Upload(x, cast.AsBytes(v)); err != nil {
							t.Fatal(err)
						}
					}
					if err := s.Run(p); err != nil {
						t.Fatal(err)
					}
				})
				if long < 1e-3 {
					return
				}
				if alone = medianPause(t, spin); long < 2*alone {
					return
				}
			}
			t.Errorf("half of the pauses are %g s or more, beside Go code %g s", long, alone)
		})
	}
}
