package main

import (
	"strings"
	"testing"

	opship "github.com/hipengine/hipengine/ops_hip"
	"github.com/hipengine/hipengine/ops_hip/limits"
)

// TestProbes executes the small probes and checks what every execution must show: lanes ask at least for the bytes
// that have to cross the bus, and products take at least the instructions that their arithmetic needs.
func TestProbes(t *testing.T) {
	fast := map[string]bool{"attention/decode/d128": true, "attention/prefill/d128": true, "gated_delta_net/decode": true,
		"mul_mat/decode/Q8_0": true, "mul_mat/prefill/Q4_K": true, "rms_norm/1x5120": true,
		"mul_mat_experts/decode/Q4_K": true}
	for _, target := range []string{"gfx1151", "gfx1201"} {
		for _, p := range probes() {
			if !fast[p.String()] {
				continue
			}
			t.Run(target+"/"+p.String(), func(t *testing.T) {
				d, err := opship.Open("emu:" + target)
				if err != nil {
					t.Fatal(err)
				}
				defer d.Close()
				n, err := p.run(t.Context(), d)
				if err != nil {
					t.Fatal(err)
				}
				want, err := p.bytes(n)
				if err != nil {
					t.Fatal(err)
				}
				asked, wmma := 0.0, uint64(0)
				for _, k := range d.Executed() {
					asked += float64(k.GlobalLoadBytes + k.GlobalStoreBytes + k.ScalarBytes)
					wmma += k.ByClass["wmma"]
				}
				if asked < want {
					t.Errorf("%g bytes asked for, the op has %g", asked, want)
				}
				if p.op.Name == "mul_mat" && strings.HasPrefix(p.Name, "prefill") {
					if need := uint64(prefillTokens * prefillRows * prefillCols / (16 * 16 * 16)); wmma != need {
						t.Errorf("%d matrix instructions, the product needs %d", wmma, need)
					}
				}
			})
		}
	}
}

func TestConformLimits(t *testing.T) {
	r := command(t, "", "conform", "--limits", "--device", "emu:gfx1201", "--match", "^rms_norm|^mul_mat/decode/Q8_0|Qwen3-32B|Qwen3-8B")
	if r.code != 0 {
		t.Fatalf("exit code %d: %s", r.code, r.errOut)
	}
	lines := strings.Split(strings.TrimSpace(r.out), "\n")
	if len(lines) != 6 {
		t.Errorf("%d lines, want 6:\n%s", len(lines), r.out)
	}
	for _, l := range lines {
		if !strings.HasSuffix(l, "["+limits.Label+"]") || !strings.HasPrefix(l, "RX 9070 XT") {
			t.Errorf("line %q does not name its GPU and say %q", l, limits.Label)
		}
	}
	for _, want := range []string{"mul_mat_q8_0_dot1", "memory binds", "does not fit"} {
		if !strings.Contains(r.out, want) {
			t.Errorf("no %q in:\n%s", want, r.out)
		}
	}
	for _, device := range []string{"cpu", "emu:gfx1103"} {
		if r := command(t, "", "conform", "--limits", "--device", device); r.code != exitUsage || !strings.Contains(r.errOut, "--limits") {
			t.Errorf("%s: exit code %d, %q", device, r.code, r.errOut)
		}
	}
}
