package limits_test

import (
	"math"
	"reflect"
	"testing"

	"github.com/hipengine/hipengine/ops_hip/limits"
)

// unit is a GPU whose bounds can be computed in the head: 2 SIMDs of 1 GHz, 1 GB/s, and a matrix instruction every 32
// clocks of a SIMD, which shares the vector unit.
var unit = limits.GPU{Name: "unit", CUs: 1, GHz: 1, GBps: 1, GiB: 1, MMAFlops: 512, MMAShares: true, DoubleClocks: 16,
	Efficiency: 0.5, MissNs: 100, HitNs: 10}

func near(a, b, relative float64) bool { return math.Abs(a-b) <= relative*math.Abs(b) }

func TestBound(t *testing.T) {
	for _, c := range []struct {
		name       string
		counts     limits.Counts
		want       limits.Bound
		seconds    float64
		achievable float64
		binding    limits.Resource
	}{
		{"nothing", limits.Counts{}, limits.Bound{}, 0, 0, limits.Memory},
		{"memory", limits.Counts{Bytes: 3e9, Vector: 2e9}, limits.Bound{Memory: 3, Issue: 1}, 3, 6, limits.Memory},
		{"vector", limits.Counts{Bytes: 1e9, Vector: 8e9, Scalar: 2e9}, limits.Bound{Memory: 1, Issue: 4}, 4, 4,
			limits.Issue},
		{"scalar", limits.Counts{Vector: 2e9, Scalar: 6e9}, limits.Bound{Issue: 3}, 3, 3, limits.Issue},
		{"scalar loads", limits.Counts{Vector: 2e9, SMem: 6e9}, limits.Bound{Issue: 3}, 3, 3, limits.Issue},
		{"branches", limits.Counts{Vector: 2e9, Branch: 6e9}, limits.Bound{Issue: 3}, 3, 3, limits.Issue},
		{"transcendental", limits.Counts{Vector: 1e9, Trans: 1e9}, limits.Bound{Issue: 2}, 2, 2, limits.Issue},
		{"products of integers", limits.Counts{Vector: 2e9, Multiply: 1e9}, limits.Bound{Issue: 3}, 3, 3,
			limits.Issue},
		{"doubles", limits.Counts{Vector: 2e9, Double: 1e9}, limits.Bound{Issue: 9}, 9, 9, limits.Issue},
		{"memory instructions", limits.Counts{Vector: 2e9, VMem: 4e9}, limits.Bound{Issue: 2}, 2, 2, limits.Issue},
		{"matrix", limits.Counts{Bytes: 1e9, Vector: 2e9, WMMA: 1e9}, limits.Bound{Memory: 1, Issue: 17}, 17, 17,
			limits.Issue},
		{"L0", limits.Counts{VMem: 1e9, Loaded: 512e9}, limits.Bound{Issue: .5, L0: 4}, 4, 4, limits.L0},
		{"LDS instructions", limits.Counts{Vector: 1e9, LDS: 6e9, LDSLoad: 128e9}, limits.Bound{Issue: .5, LDS: 3}, 3,
			3, limits.LDS},
		{"LDS loads", limits.Counts{LDS: 1e9, LDSLoad: 512e9, LDSStored: 128e9}, limits.Bound{LDS: 4}, 4, 4,
			limits.LDS},
		{"LDS stores", limits.Counts{LDS: 1e9, LDSLoad: 128e9, LDSStored: 256e9}, limits.Bound{LDS: 2}, 2, 2,
			limits.LDS},
		{"one long chain", limits.Counts{Trips: 3e7, Fresh: 2e7, LongestTrips: 3e7, LongestFresh: 2e7},
			limits.Bound{Latency: 2.1}, 2.1, 2.1, limits.Latency},
		{"many chains", limits.Counts{Trips: 5e8, Fresh: 4e8, LongestTrips: 1e7, LongestFresh: 1e7},
			limits.Bound{Latency: 4.1}, 4.1, 4.1, limits.Latency},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := c.counts.On(unit, 10, true)
			if !near(got.Latency, c.want.Latency, 1e-9) {
				t.Errorf("latency %g s, want %g", got.Latency, c.want.Latency)
			}
			got.Latency = c.want.Latency
			if got != c.want || got.Seconds() != c.seconds || got.Achievable(unit) != c.achievable ||
				got.Binding() != c.binding {
				t.Errorf("%+v, %g s, %s; want %+v, %g s, %s", got, got.Seconds(), got.Binding(), c.want, c.seconds,
					c.binding)
			}
		})
	}
}

// TestMatrixShares lets matrix instructions overlap with others where the GPU may, and not where it shares their unit.
func TestMatrixShares(t *testing.T) {
	apart := unit
	apart.MMAShares = false
	c := limits.Counts{Vector: 96e9, WMMA: 1e9}
	for _, x := range []struct {
		gpu     limits.GPU
		overlap bool
		want    float64
	}{{unit, true, 64}, {unit, false, 64}, {apart, true, 48}, {apart, false, 64}} {
		if got := c.On(x.gpu, 1, x.overlap).Issue; got != x.want {
			t.Errorf("shares %v, may overlap %v: %g s, want %g", x.gpu.MMAShares, x.overlap, got, x.want)
		}
	}
	if got := c.MatrixShare(unit); got != 0.25 {
		t.Errorf("matrix instructions take %g of the clocks", got)
	}
}

func TestFromClasses(t *testing.T) {
	got := limits.FromClasses(map[string]uint64{"valu": 1, "dot": 10, "mul": 2, "f64": 3, "trans": 100, "wmma": 1000,
		"salu": 5, "vmem": 6,
		"lds": 7, "smem": 8, "branch": 9, "other": 1 << 20})
	want := limits.Counts{Vector: 11, Multiply: 2, Double: 3, Trans: 100, WMMA: 1000, Scalar: 5, VMem: 6, LDS: 7,
		SMem: 8, Branch: 9}
	if got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	all, twice := limits.Counts{}, limits.Counts{}
	for i := range reflect.TypeFor[limits.Counts]().NumField() {
		f := 2.0
		if name := reflect.TypeFor[limits.Counts]().Field(i).Name; name == "LongestTrips" || name == "LongestFresh" {
			f = 1 // more waves have no longer chains
		}
		reflect.ValueOf(&all).Elem().Field(i).SetFloat(float64(i + 1))
		reflect.ValueOf(&twice).Elem().Field(i).SetFloat(f * float64(i+1))
	}
	if got := all.Times(2); got != twice {
		t.Errorf("twice: %+v, want %+v", got, twice)
	}
}

// TestResident compares with what clang prints as occupancy, and with what LDS and blocks leave.
func TestResident(t *testing.T) {
	for _, c := range []struct {
		target string
		block  limits.Block
		want   float64
	}{
		{"gfx1100", limits.Block{Threads: 32, VGPRs: 96}, 16},
		{"gfx1201", limits.Block{Threads: 32, VGPRs: 128}, 10},
		{"gfx1151", limits.Block{Threads: 32, VGPRs: 168}, 9},
		{"gfx1100", limits.Block{Threads: 32, VGPRs: 256}, 5},
		{"gfx1102", limits.Block{Threads: 32, VGPRs: 96}, 10},
		{"gfx1103", limits.Block{Threads: 32, VGPRs: 72}, 12},
		{"gfx1150", limits.Block{Threads: 32, VGPRs: 256}, 4},
		{"gfx1100", limits.Block{Threads: 128, VGPRs: 193, LDS: 15 << 10}, 7},
		// three blocks of two waves on four SIMDs
		{"gfx1100", limits.Block{Threads: 64, VGPRs: 242, LDS: 39 << 10}, 1.5},
		{"gfx1100", limits.Block{Threads: 1024, VGPRs: 96, LDS: 1}, 16},
		{"gfx1100", limits.Block{Threads: 64, VGPRs: 1}, 16},
		{"gfx1100", limits.Block{Threads: 32, VGPRs: 1, LDS: 64 << 10}, 0.5},
		{"sm_90", limits.Block{Threads: 32, VGPRs: 1}, 0},
	} {
		if got := c.block.SIMDWaves(c.target); got != c.want {
			t.Errorf("%s: %+v: %g waves a SIMD, want %g", c.target, c.block, got, c.want)
		}
	}
	if got := limits.GPUs[0].Resident(limits.Block{Threads: 32, VGPRs: 256}); got != 5*2*96 {
		t.Errorf("%d waves on %s", got, limits.GPUs[0].Name)
	}
}

// TestSheet compares rates with those that the vendor prints.
func TestSheet(t *testing.T) {
	published := map[string]float64{"gfx1100": 122.9e12, "gfx1151": 59.4e12, "gfx1201": 194.6e12}
	for _, g := range limits.GPUs {
		if g.Efficiency <= 0.5 || g.Efficiency > 1 || g.LaunchMicro <= 0 || g.HitNs <= 0 || g.MissNs <= g.HitNs ||
			g.DoubleClocks <= 1 {
			t.Errorf("%+v", g)
		}
		if g.Source == "" || !near(g.Flops(), published[g.Target], 0.001) {
			t.Errorf("%s: %.4g FLOP/s, published %.4g (source %q)", g.Name, g.Flops(), published[g.Target], g.Source)
		}
		delete(published, g.Target)
	}
	if len(published) != 0 {
		t.Errorf("no GPU for %v", published)
	}
}

// TestModels compares with bounds worked out elsewhere to the digits given.
func TestModels(t *testing.T) {
	find := func(name string) limits.Model {
		for _, m := range limits.Models {
			if m.Name == name {
				return m
			}
		}
		t.Fatalf("no model %q", name)
		return limits.Model{}
	}
	fast := limits.GPU{GBps: 800}
	for _, c := range []struct {
		name      string
		got, want float64
	}{
		{"27B token bytes", find("Qwen3.6-27B").TokenBytes(0), 16.12e9},
		{"27B at 800 GB/s", find("Qwen3.6-27B").Decode(fast, 0), 50},
		{"35B-A3B at 800 GB/s", find("Qwen3.6-35B-A3B").Decode(fast, 0), 381},
		{"27B context", find("Qwen3.6-27B").TokenBytes(32768) - find("Qwen3.6-27B").TokenBytes(0), 2.15e9},
		{"35B context", find("Qwen3.6-35B-A3B").TokenBytes(32768) - find("Qwen3.6-35B-A3B").TokenBytes(0), 0.67e9},
		{"27B prompt", find("Qwen3.6-27B").Prefill(limits.GPUs[0]), 2520},
	} {
		if !near(c.got, c.want, 0.01) {
			t.Errorf("%s: %g, want %g", c.name, c.got, c.want)
		}
	}
	for _, c := range []struct {
		model   string
		context int
		fits    []bool // by GPU
	}{
		{"Qwen3-8B", 0, []bool{true, true, true}},
		{"Qwen3-8B", 1 << 17, []bool{true, true, false}},
		{"Qwen3.6-27B", 0, []bool{true, true, true}},
		{"Qwen3.6-27B", 32768, []bool{true, true, false}},
		{"Qwen3-32B", 0, []bool{true, true, false}},
		{"Llama-3.1-70B", 0, []bool{false, true, false}},
	} {
		for i, want := range c.fits {
			if got := find(c.model).Fits(limits.GPUs[i], c.context); got != want {
				t.Errorf("%s at %d on %s: fits %v, want %v", c.model, c.context, limits.GPUs[i].Name, got, want)
			}
		}
	}
	for _, m := range limits.Models {
		most := 0.75
		if m.Embd == 2880 { // rows that are no whole blocks of Q4_K are of Q5_0 and Q8_0
			most = 0.8
		}
		if m.PerToken > m.File || m.Params <= m.Head || m.PerToken/m.Params < 0.5 || m.PerToken/m.Params > most {
			t.Errorf("%+v is not a model of about 5 or 6 bits per weight", m)
		}
	}
}

// TestTwoCards works out by hand what two cards give of one.
func TestTwoCards(t *testing.T) {
	g := limits.GPU{GBps: 1000, Efficiency: 0.8, CUs: 10, GHz: 1, MMAFlops: 100, GiB: 1}
	l := limits.Link{GBps: 10, Efficiency: 0.5, Micro: 10}
	m := limits.Model{PerToken: 8e9, Params: 2e6, Head: 1e6, Layers: 50, Embd: 1250}
	// Half of 8 GB at 800 GB/s, and a hundred times 10 µs and 5 kB at 5 GB/s.
	if got, want := m.DecodeOnTwo(g, l, 0), 1/(0.005+100*(10e-6+1e-6)); math.Abs(got/want-1) > 1e-12 {
		t.Errorf("decode: %v token/s, want %v", got, want)
	}
	// A teraflop/s for 2 Mflop a token, of which half the rate is reached, on two; and 5 kB for each of 100 tokens.
	if got, want := m.PrefillOnTwo(g, l, 100, 0.5), 100/(100*2e-6+100*(10e-6+100e-6)); math.Abs(got/want-1) > 1e-12 {
		t.Errorf("prefill: %v token/s, want %v", got, want)
	}
	// In each of 200 half blocks 1 µs of products, behind 10 µs and half of 100 tokens at 5 GB/s, in floats; or, of many
	// more operations, 100 µs of products that hide 10 µs and 25 µs, in halves.
	if got, want := m.PrefillOverlapped(g, l, 100, 0.5, 4), 100/(200*60e-6+1e-6); math.Abs(got/want-1) > 1e-12 {
		t.Errorf("overlapped: %v token/s, want %v", got, want)
	}
	m.Params, m.Head = 2e8, 1e8
	if got, want := m.PrefillOverlapped(g, l, 100, 0.5, 2), 100/(200*100e-6+35e-6); math.Abs(got/want-1) > 1e-12 {
		t.Errorf("overlapped in halves: %v token/s, want %v", got, want)
	}
}
