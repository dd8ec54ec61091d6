package place_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/conformance"
	"github.com/hipengine/hipengine/models"
	_ "github.com/hipengine/hipengine/models/arch/all"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops/place"
	"github.com/hipengine/hipengine/ops_ref/cpu"
)

// newPlace returns a device of the given ones.
func newPlace(tb testing.TB, p place.Placement, parts ...ops.Device) *place.Device {
	tb.Helper()
	d, err := place.New(parts, p)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

func newCPU(tb testing.TB) ops.Device {
	d := cpu.New(cpu.Options{Threads: 1})
	tb.Cleanup(func() { d.Close() })
	return d
}

// turns has layers on two parts by turns, and experts on the other one of their layer.
var turns = place.Split{Layers: []int{0, 1, 0, 1, 0, 1, 0, 1}, Experts: []int{1, 0, 1, 0, 1, 0, 1, 0}, Output: 1}

// TestConformance runs the suite on two CPUs.
func TestConformance(t *testing.T) {
	o := conformance.Options{NoSkip: true}
	if testing.Short() {
		t.Log("SKIPPED: -short leaves ops, weight types and models to make long")
		o.Match = regexp.MustCompile(`^(Ops/mul/|Stream/(copy|zero|event)$|Memory/[^/]*$)`)
	}
	conformance.TestDevice(t, func(tb testing.TB) ops.Device {
		return newPlace(tb, turns.Place, newCPU(tb), newCPU(tb))
	}, o)
}

// TestBits runs tiny models of all architectures on one CPU and on two, whose logits are the same bits.
func TestBits(t *testing.T) {
	for _, arch := range models.Architectures() {
		t.Run(arch, func(t *testing.T) {
			t.Parallel()
			checks := "(prefill|decode|chunks|kv-Q8_0|batch|fork|checkpoint|churn)"
			if testing.Short() {
				if arch != "qwen35moe" {
					t.Skip("SKIPPED: -short leaves most models to make long")
				}
				checks = "churn"
			}
			o := conformance.Options{NoSkip: true, Match: regexp.MustCompile("^Model/" + arch + "/" + checks + "$")}
			run := func(dev ops.Device) *conformance.Report {
				r, err := conformance.Run(t.Context(), dev, o)
				if err != nil {
					t.Fatal(err)
				}
				if err := r.Err(); err != nil {
					t.Fatal(err)
				}
				return r
			}
			one := run(newCPU(t))
			for name, split := range map[string]place.Split{"turns": turns,
				"experts": {Layers: []int{0}, Experts: []int{1}}} {
				if name == "experts" && !strings.Contains(arch, "moe") {
					continue
				}
				two := run(newPlace(t, split.Place, newCPU(t), newCPU(t)))
				if len(two.Results) != len(one.Results) || len(one.Results) == 0 {
					t.Fatalf("%d and %d checks", len(one.Results), len(two.Results))
				}
				for i, r := range one.Results {
					if r.Metrics != two.Results[i].Metrics {
						t.Errorf("%s: %s: %+v on one, %+v on two", name, r.Name, r.Metrics, two.Results[i].Metrics)
					}
				}
			}
		})
	}
}
