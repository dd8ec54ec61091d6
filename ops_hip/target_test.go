package opship

import "testing"

func TestStepTokens(t *testing.T) {
	for _, c := range []struct {
		target string
		cus    int
		want   int
	}{{"gfx1100", 96, 512}, {"gfx1151", 40, 512}, {"gfx1201", 0, 512}, {"sm_80", 20, 512}, {"sm_80", 64, 512},
		{"sm_90", 65, 1024}, {"sm_90", 132, 2048}} {
		if got := NewTarget(c.target, c.cus).stepTokens(); got != c.want {
			t.Errorf("%s with %d units takes %d tokens at a time, want %d", c.target, c.cus, got, c.want)
		}
	}
}
