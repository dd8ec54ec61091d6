package reglu

import (
	"regexp"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/conformance"
	"github.com/hipengine/hipengine/ops"
	opship "github.com/hipengine/hipengine/ops_hip"
	_ "github.com/hipengine/hipengine/ops_hip/codeobj/gfx1100" // what the decoder needs beside our own kernels
	"github.com/hipengine/hipengine/ops_ref/cpu"
)

func closed(t testing.TB, d ops.Device) ops.Device {
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// The conformance suite finds the architecture by itself, and runs a tiny model of it in steps of every shape.
func TestCPU(t *testing.T) {
	open := func(t testing.TB) ops.Device { return closed(t, cpu.New(cpu.Options{})) }
	conformance.TestDevice(t, open, conformance.Options{Match: regexp.MustCompile(`^Model/reglu/`), NoSkip: true})
}

// Hyper-parameters that the architecture refuses are a failure, not something to leave out.
func TestHparams(t *testing.T) {
	rep, err := conformance.Run(t.Context(), closed(t, cpu.New(cpu.Options{})), conformance.Options{
		Match:   regexp.MustCompile(`^Model/reglu/prefill$`),
		Hparams: map[string]map[string]any{"reglu": {"feed_forward_length": uint32(0)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := rep.Err(); err == nil || !strings.Contains(err.Error(), "reglu.feed_forward_length") {
		t.Errorf("error %v", err)
	}
}

// On a GPU, emulated, the decoder runs with kernels of both modules.
func TestGPU(t *testing.T) {
	var d *opship.Device
	open := func(t testing.TB) ops.Device {
		var err error
		if d, err = opship.OpenWith("emu:gfx1100", opship.Options{}); err != nil {
			t.Fatal(err)
		}
		return closed(t, d)
	}
	conformance.TestDevice(t, open, conformance.Options{
		Match: regexp.MustCompile(`^Model/reglu/prefill$`), NoSkip: true,
		Hparams: map[string]map[string]any{"reglu": {"block_count": uint32(1)}}, // the emulator is slow
	})
	if d.Executed()["reglu2_f32"].Launches == 0 {
		t.Error("our kernel was not launched")
	}
}
