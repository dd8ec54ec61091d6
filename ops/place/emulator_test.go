package place_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/conformance"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops/place"
	opship "github.com/hipengine/hipengine/ops_hip"
	_ "github.com/hipengine/hipengine/ops_hip/codeobj/all"
)

// TestEmulator runs tiny models on emulated GPUs of two targets, and on one beside the CPU, which copy through the host.
func TestEmulator(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: -short leaves the emulator out; make emulator runs it")
	}
	for _, names := range []string{"emu:gfx1100,emu:gfx1201", "emu:gfx1100,cpu", "emu:gfx1100,emu:gfx1100"} {
		t.Run(names, func(t *testing.T) {
			t.Parallel()
			o := conformance.Options{NoSkip: true,
				Match: regexp.MustCompile(`^(Stream/(copy|event)|Memory/arena|Model/(qwen35moe|gemma4)/(decode|chunks))$`)}
			conformance.TestDevice(t, func(tb testing.TB) ops.Device {
				var parts []ops.Device
				for _, name := range strings.Split(names, ",") {
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
				return newPlace(tb, place.Split{Layers: []int{0, 0, 1, 1, 0}, Experts: []int{1, 0, 1, 0}, Output: 1}.Place, parts...)
			}, o)
		})
	}
}
