package main

import (
	"strings"
	"testing"

	"github.com/hipengine/hipengine/ops_hip/limits"
)

func TestConformLimits(t *testing.T) {
	r := command(t, "", "conform", "--limits", "--device", "emu:gfx1201", "--match",
		"^rms_norm_f32_(block|wave)$|^mul_mat_q8_0_dot1$|Qwen3-32B|Qwen3-8B")
	if r.code != 0 {
		t.Fatalf("exit code %d: %s", r.code, r.errOut)
	}
	lines := strings.Split(strings.TrimSpace(r.out), "\n")
	if len(lines) != 16 {
		t.Errorf("%d lines, want 16: the GPU, two products, three normalizations, two models, both on two cards by two "+
			"links, as they add and as they might\n%s", len(lines), r.out)
	}
	for _, l := range lines {
		if !strings.HasSuffix(l, "["+limits.Label+"]") || !strings.HasPrefix(strings.TrimPrefix(l, "2x "), "RX 9070 XT") {
			t.Errorf("line %q does not name its GPU and say %q", l, limits.Label)
		}
	}
	for _, want := range []string{"mul_mat_q8_0_dot1", "memory binds", "lds 0.",
		"of mul_mat F32 1x4096, Q8_0 1024x4096", "does not fit"} {
		if !strings.Contains(r.out, want) {
			t.Errorf("no %q in:\n%s", want, r.out)
		}
	}
	for _, device := range []string{"cpu", "emu:gfx1103"} {
		if r := command(t, "", "conform", "--limits", "--device", device); r.code != exitUsage ||
			!strings.Contains(r.errOut, "--limits") {
			t.Errorf("%s: exit code %d, %q", device, r.code, r.errOut)
		}
	}
}
