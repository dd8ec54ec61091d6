package opship

import "testing"

// TestExpertTiles checks which kernels take mixtures, and that their blocks cover all pairs and rows.
func TestExpertTiles(t *testing.T) {
	q4, q6, q5, q8 := weightTypes["Q4_K"], weightTypes["Q6_K"], weightTypes["Q5_K"], weightTypes["Q8_0"]
	for _, c := range []struct {
		target         string
		pairs, experts int
		split          bool
		types          []weightType
		n, k           int
		tile           int
		symbol         string // of the last type
	}{
		{"sm_90", 256 * 9, 257, false, []weightType{q4, q6}, 2048, 512, 32, "mul_mat_experts_q6_k_few"},
		{"sm_90", 256 * 9, 257, false, []weightType{q4, q5}, 2048, 512, 16, "mul_mat_experts_q5_k_few"},
		{"sm_90", 64 * 9, 257, true, []weightType{q6, q4}, 100, 768, 16, "mul_mat_experts_q4_k_few3"},
		{"sm_90", 64 * 9, 257, true, []weightType{q4, q8}, 2048, 512, 128, "mul_mat_experts_q8_0_mma"},
		{"sm_90", 2048 * 9, 257, false, []weightType{q4, q6}, 2048, 512, 128, "mul_mat_experts_q6_k_mma"},
		{"gfx1100", 256 * 9, 257, false, []weightType{q4, q6}, 2048, 512, 16, "mul_mat_experts_q6_k_few"},
		{"gfx1100", 64 * 9, 257, true, []weightType{q4, q6}, 2048, 512, 128, "mul_mat_experts_q6_k_mma"},
		{"gfx1201", 9, 1, false, []weightType{weightTypes["F16"]}, 7, 32, 128, "mul_mat_experts_f16_mma"},
		{"gfx1201", 9, 1, false, []weightType{weightTypes["IQ2_S"], q8}, 7, 32, 128, "mul_mat_experts_q8_0_mma"},
	} {
		e := tilesOf(NewTarget(c.target, 96), c.pairs, c.experts, c.split, c.types...)
		// Each expert begins a tile; the rest fill theirs.
		if most := (c.pairs+c.tile-1)/c.tile + min(c.pairs, c.experts); e.pairs != c.tile || e.most != most {
			t.Errorf("%+v: tiles of %d, at most %d, want %d", c, e.pairs, e.most, most)
		}
		for gated, rows := range map[bool]int{false: 128, true: 64} {
			l := e.launch(c.types[len(c.types)-1], c.n, c.k, gated, Args{})
			if l.Symbol != c.symbol {
				t.Errorf("%+v: kernel %s", c, l.Symbol)
			}
			groups := 1
			if v := l.Args.bytes(); len(v) > 0 {
				groups = int(v[0])
			}
			if all := int(l.Grid[1]) * groups * rows; all < c.n || all-groups*rows >= c.n {
				t.Errorf("%+v: gated %v: blocks take %d rows", c, gated, all)
			}
		}
	}
}
