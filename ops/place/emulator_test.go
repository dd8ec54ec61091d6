package place_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/conformance"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops/place"
	_ "github.com/hipengine/hipengine/ops_hip/codeobj/all"
)

// TestEmulator runs tiny models on emulated GPUs of two targets, and on one beside the CPU, which copy through the
// host.
func TestEmulator(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: -short leaves the emulator out; make long runs it")
	}
	for _, names := range emulatorPairs {
		t.Run(names, func(t *testing.T) {
			t.Parallel()
			o := conformance.Options{NoSkip: true,
				Match: regexp.MustCompile(`^(Stream/(copy|event)|Memory/arena|Model/(qwen35moe|gemma4)/(decode|chunks))$`)}
			conformance.TestDevice(t, func(tb testing.TB) ops.Device {
				return openParts(tb, place.Split{Layers: []int{0, 0, 1, 1, 0}, Experts: []int{1, 0, 1, 0}, Output: 1}.Place,
					strings.Split(names, ",")...)
			}, o)
		})
	}
}
