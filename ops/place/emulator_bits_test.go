package place_test

import (
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/conformance"
	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/internal/tiny"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops/place"
	opship "github.com/hipengine/hipengine/ops_hip"
	"github.com/hipengine/hipengine/tensor/quant"
)

// emulatorPairs are what tiny models are split over: emulated GPUs of one kind and of two, and one beside the CPU.
var emulatorPairs = []string{"emu:gfx1100,emu:gfx1100", "emu:gfx1100,emu:gfx1201", "emu:gfx1100,cpu"}

// emulatorShort are the models of make long; make emulator-pairs sets HIPENGINE_TEST_MODELS, for all.
var emulatorShort = []string{"qwen35moe", "gemma4", "deepseek2", "granitehybrid"}

// TestEmulatorBits runs tiny models of all architectures, the layers of which are on two devices by turns, and between
// GPUs their experts on the other one. Logits are the bits of one device where both are of one kind. Where they are
// not, they are those of a device for each layer and for its experts, of the kind that it is on: what a layer makes
// depends on the device that runs it alone. (Between GPU and CPU, sums that go with a layer and its experts alike may
// be on either.)
func TestEmulatorBits(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: -short leaves the emulator out; make long runs it")
	}
	for _, arch := range tiny.Archs {
		t.Run(arch, func(t *testing.T) {
			if !emulated(arch) {
				t.Skip("SKIPPED: make emulator-pairs runs it")
			}
			t.Parallel()
			for _, names := range emulatorPairs {
				pair := strings.Split(names, ",")
				split := turns
				if pair[1] == "cpu" {
					split.Experts = split.Layers
				}
				parts, apart := pair[:1], place.Split{}
				if pair[0] != pair[1] {
					parts, apart = eachAlone(pair, split, layersOf(t, arch))
				}
				want := placedLogits(t, arch, apart, parts...)
				for i, x := range placedLogits(t, arch, split, pair...) {
					if math.Float32bits(x) != math.Float32bits(want[i]) {
						t.Errorf("%s: logit %d of %d is %v, on devices that run a layer each %v", names, i, len(want), x,
							want[i])
						break
					}
				}
			}
		})
	}
}

// TestEmulatorRanks runs tiny models that are split over two ranks, within the bounds of one device.
func TestEmulatorRanks(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: -short leaves the emulator out; make long runs it")
	}
	archs := "(qwen35moe|gemma3)"
	if os.Getenv("HIPENGINE_TEST_MODELS") != "" {
		archs = ".*"
	}
	for _, names := range emulatorPairs {
		t.Run(names, func(t *testing.T) {
			t.Parallel()
			conformance.TestDevice(t, func(tb testing.TB) ops.Device {
				return openParts(tb, place.ByRank, strings.Split(names, ",")...)
			}, conformance.Options{NoSkip: true, Match: regexp.MustCompile("^Model/" + archs + "/ranks=2$")})
		})
	}
}

// emulated reports whether a model is to run on the emulator now.
func emulated(arch string) bool {
	return os.Getenv("HIPENGINE_TEST_MODELS") != "" || slices.Contains(emulatorShort, arch)
}

// layersOf returns the number of layers of a tiny model.
func layersOf(t *testing.T, arch string) int {
	t.Helper()
	m, err := models.New(tiny.Meta(arch))
	if err != nil {
		t.Fatal(err)
	}
	return m.Params().Layers
}

// eachAlone returns s with a part for each of the first n layers, and one for the experts of each that are elsewhere,
// and what these parts are of pair.
func eachAlone(pair []string, s place.Split, n int) (parts []string, out place.Split) {
	add := func(part int) int {
		parts = append(parts, pair[part])
		return len(parts) - 1
	}
	out.Input = add(s.Input)
	for l := range n {
		out.Layers = append(out.Layers, add(s.Layers[l]))
		if s.Experts[l] == s.Layers[l] {
			out.Experts = append(out.Experts, out.Layers[l])
		} else {
			out.Experts = append(out.Experts, add(s.Experts[l]))
		}
	}
	out.Output = add(s.Output)
	return parts, out
}

// placedLogits returns the logits of a tiny model, or hidden states of one that has none, whose weights lie on the
// named devices as s says: of a prompt, and of tokens behind it one by one.
func placedLogits(t *testing.T, arch string, s place.Split, names ...string) []float32 {
	t.Helper()
	m, err := models.New(tiny.Meta(arch))
	if err != nil {
		t.Fatal(err)
	}
	r, id := openSequence(t, openParts(t, s.Place, names...), m, tiny.Weights(m, quant.Q8_0, 7))
	var all []float32
	for _, tokens := range [][]int32{{5, 3, 8, 2, 9, 4, 7, 1, 6, 5, 5, 3}, {7}, {2, 2}} {
		work, step := []runner.Work{{Seq: id, Tokens: tokens, Rows: len(tokens)}}, r.Step
		if m.Params().Encoder {
			step = r.StepHidden
		}
		rows, err := step(t.Context(), work)
		if err != nil {
			t.Fatal(err)
		}
		if all = append(all, rows[0]...); m.Params().Encoder {
			break
		}
	}
	return all
}

// openSequence returns a runner of a model on dev, and a sequence of it.
func openSequence(t *testing.T, dev ops.Device, m models.Model, src models.Source) (*runner.Runner, runner.SeqID) {
	t.Helper()
	w, err := models.LoadWeights(t.Context(), m, src, dev, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Free() })
	r, err := runner.New(dev, m, w, runner.Options{Context: 64, Batch: 64})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	id, err := r.Open()
	if err != nil {
		t.Fatal(err)
	}
	return r, id
}

// openParts returns a device of the named ones: emulated GPUs, and CPUs of a thread.
func openParts(tb testing.TB, p place.Placement, names ...string) ops.Device {
	tb.Helper()
	var parts []ops.Device
	for _, name := range names {
		if name == "cpu" {
			parts = append(parts, newCPU(tb))
			continue
		}
		d, err := opship.Open(name)
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { d.Close() })
		parts = append(parts, d)
	}
	return newPlace(tb, p, parts...)
}
