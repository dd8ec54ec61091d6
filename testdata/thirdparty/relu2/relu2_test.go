package relu2

import (
	"regexp"
	"slices"
	"testing"

	"github.com/hipengine/hipengine/conformance"
	"github.com/hipengine/hipengine/ops"
	opship "github.com/hipengine/hipengine/ops_hip"
	// the target's kernels, among which ours take their place
	_ "github.com/hipengine/hipengine/ops_hip/codeobj/gfx1100"
	opsref "github.com/hipengine/hipengine/ops_ref"
	"github.com/hipengine/hipengine/ops_ref/cpu"
)

// options are the checks of our ops.
var options = conformance.Options{Match: regexp.MustCompile(`^(Ops|Graph|Stream|Memory)/(relu2|reglu2)/`)}

func closed(t testing.TB, d ops.Device) ops.Device {
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// hipengine's CPU devices run the op by its reference kernel.
func TestCPU(t *testing.T) {
	for _, d := range []ops.Device{opsref.New(opsref.Options{}), cpu.New(cpu.Options{})} {
		conformance.TestDevice(t, func(t testing.TB) ops.Device { return closed(t, d) }, options)
	}
}

// Our kernels run on a GPU, emulated, beside those of hipengine.
func TestGPU(t *testing.T) {
	var d *opship.Device
	open := func(t testing.TB) ops.Device {
		var err error
		if d, err = opship.OpenWith("emu:"+target, opship.Options{}); err != nil {
			t.Fatal(err)
		}
		return closed(t, d)
	}
	opts := options
	opts.NoSkip = true
	conformance.TestDevice(t, open, opts)
	for _, kernel := range []string{"relu2_f32", "reglu2_f32", "mul_f32"} { // the last is of the expansion
		if d.Executed()[kernel].Launches == 0 {
			t.Errorf("%s was not launched", kernel)
		}
	}
	symbols, err := opship.Shipped(target)
	if err != nil {
		t.Fatal(err)
	}
	for _, kernel := range []string{"relu2_f32", "mul_f32"} { // objects of two owners
		if !slices.Contains(symbols, kernel) {
			t.Errorf("%s is not among the kernels of %s", kernel, target)
		}
	}
}
