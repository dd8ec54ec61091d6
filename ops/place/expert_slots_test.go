package place_test

import (
	"math"
	"testing"

	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/internal/logits"
	"github.com/hipengine/hipengine/internal/tiny"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops/place"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// TestEmulatorExpertSlots: on an emulated GPU, experts with slots there and the rest elsewhere give what all of them
// give elsewhere: the same bits on two GPUs of one kind, and beside a CPU what float32 rounds, or, of Q8_0, where the
// CPU rounds activations to 8 bits, logits that are no further from those of the GPU alone.
func TestEmulatorExpertSlots(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: -short leaves the emulator out; make long runs it")
	}
	for _, c := range []struct {
		name, arch, experts string
		dt                  tensor.DType
		rms                 float64 // of the difference, relative; 0: none; negative: about that without slots
	}{
		{"two of one kind", "qwen35moe", "emu:gfx1100", quant.Q8_0, 0},
		{"two of one kind, with biases", "gpt-oss", "emu:gfx1100", quant.Q8_0, 0},
		{"beside a CPU, F32", "qwen35moe", "cpu", tensor.F32, 1e-5},
		{"beside a CPU, F32, with biases", "gpt-oss", "cpu", tensor.F32, 1e-5},
		{"beside a CPU, Q8_0", "qwen35moe", "cpu", quant.Q8_0, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			want, _ := slotLogits(t, c.arch, c.experts, c.dt, 0)
			got, used := slotLogits(t, c.arch, c.experts, c.dt, 2)
			rms, most := logits.RelativeRMS(want, got), c.rms
			if most < 0 {
				exact, _ := slotLogits(t, c.arch, "", c.dt, 0)
				// Slots round differently, and some tokens then choose other experts.
				rms, most = logits.RelativeRMS(exact, got), 1.25*logits.RelativeRMS(exact, want)
			}
			t.Logf("relative RMS %.3g of %.3g; %v", rms, most, used)
			if !(rms <= most) || used.Hits == 0 || used.Hits >= used.Choices || used.Moved == 0 {
				t.Errorf("relative RMS %g, allowed are %g; %v", rms, most, used)
			}
		})
	}
}

// slotLogits returns the logits that a model with so many slots for experts computes on an emulated GPU, its other
// experts on a device called so, or there too if it has no name.
func slotLogits(t *testing.T, arch, experts string, dt tensor.DType, slots int) ([]float32, runner.ExpertUse) {
	t.Helper()
	m, err := models.New(tiny.Meta(arch))
	if err != nil {
		t.Fatal(err)
	}
	src := tiny.Weights(m, dt, 7)
	if slots > 0 {
		if m, err = m.(models.ExpertCacher).CacheExperts(slots); err != nil {
			t.Fatal(err)
		}
	}
	split := place.Split{Layers: []int{0}, Experts: []int{1}}
	if experts == "" {
		split.Experts, experts = nil, "cpu"
	}
	r, id := openSequence(t, openParts(t, split.Place, "emu:gfx1100", experts), m, src)
	var all []float32
	for step := range 36 {
		work := runner.Work{Seq: id, Tokens: []int32{int32(3 + step%2)}, Rows: 1}
		if step == 0 {
			work.Tokens = []int32{5, 3, 8, 2, 9, 4, 3, 4, 3, 4, 3, 4}
		}
		rows, err := r.Step(t.Context(), []runner.Work{work})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, rows[0]...)
	}
	for _, x := range all {
		if math.IsNaN(float64(x)) {
			t.Fatal("a logit is NaN")
		}
	}
	return all, r.ExpertUse()
}
