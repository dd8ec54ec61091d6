package limits_test

import (
	"math"
	"testing"

	"github.com/hipengine/hipengine/ops_hip/limits"
)

// unit is a GPU whose bounds can be computed in the head: 2 SIMDs of 1 GHz, 1 GB/s, and a matrix instruction every 32
// clocks of a SIMD.
var unit = limits.GPU{Name: "unit", CUs: 1, GHz: 1, GBps: 1, GiB: 1, MMAFlops: 512}

func near(a, b, relative float64) bool { return math.Abs(a-b) <= relative*math.Abs(b) }

func TestBound(t *testing.T) {
	for _, c := range []struct {
		name    string
		counts  limits.Counts
		want    limits.Bound
		seconds float64
		binding limits.Resource
	}{
		{"nothing", limits.Counts{}, limits.Bound{}, 0, limits.Memory},
		{"memory", limits.Counts{Bytes: 3e9, Vector: 2e9}, limits.Bound{Memory: 3, Issue: 1}, 3, limits.Memory},
		{"vector", limits.Counts{Bytes: 1e9, Vector: 8e9, Scalar: 2e9}, limits.Bound{Memory: 1, Issue: 4}, 4, limits.Issue},
		{"scalar", limits.Counts{Vector: 2e9, Scalar: 6e9}, limits.Bound{Issue: 3}, 3, limits.Issue},
		{"transcendental", limits.Counts{Vector: 2e9, Trans: 1e9}, limits.Bound{Issue: 2}, 2, limits.Issue},
		{"memory instructions", limits.Counts{Vector: 2e9, VMem: 4e9}, limits.Bound{Issue: 2}, 2, limits.Issue},
		{"matrix", limits.Counts{Bytes: 1e9, Vector: 1e9, WMMA: 1e9}, limits.Bound{Memory: 1, Issue: .5, Matrix: 16}, 16, limits.Matrix},
		{"LDS instructions", limits.Counts{Vector: 1e9, LDS: 6e9, LDSLoad: 128e9}, limits.Bound{Issue: .5, LDS: 3}, 3, limits.LDS},
		{"LDS loads", limits.Counts{LDS: 1e9, LDSLoad: 512e9, LDSStored: 128e9}, limits.Bound{LDS: 4}, 4, limits.LDS},
		{"LDS stores", limits.Counts{LDS: 1e9, LDSLoad: 128e9, LDSStored: 256e9}, limits.Bound{LDS: 2}, 2, limits.LDS},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := c.counts.On(unit)
			if got != c.want || got.Seconds() != c.seconds || got.Binding() != c.binding {
				t.Errorf("%+v, %g s, %s; want %+v, %g s, %s", got, got.Seconds(), got.Binding(), c.want, c.seconds, c.binding)
			}
		})
	}
}

func TestFromClasses(t *testing.T) {
	got := limits.FromClasses(map[string]uint64{"valu": 1, "dot": 10, "trans": 100, "wmma": 1000, "salu": 5, "vmem": 6, "lds": 7, "smem": 1 << 20, "branch": 1 << 20})
	want := limits.Counts{Vector: 1111, Trans: 100, Scalar: 5, WMMA: 1000, VMem: 6, LDS: 7}
	if got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	all := limits.Counts{Bytes: 1, Vector: 2, Trans: 3, Scalar: 4, VMem: 5, WMMA: 6, LDS: 7, LDSLoad: 8, LDSStored: 9}
	if got, want := all.Times(2), (limits.Counts{Bytes: 2, Vector: 4, Trans: 6, Scalar: 8, VMem: 10, WMMA: 12, LDS: 14, LDSLoad: 16, LDSStored: 18}); got != want {
		t.Errorf("twice: %+v, want %+v", got, want)
	}
}

// TestSheet compares rates with those that the vendor prints.
func TestSheet(t *testing.T) {
	published := map[string]float64{"gfx1100": 122.9e12, "gfx1151": 59.4e12, "gfx1201": 194.6e12}
	for _, g := range limits.GPUs {
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
		if m.PerToken > m.File || m.Params <= m.Head || m.PerToken/m.Params < 0.5 || m.PerToken/m.Params > 0.75 {
			t.Errorf("%+v is not a model of about 5 bits per weight", m)
		}
	}
}
