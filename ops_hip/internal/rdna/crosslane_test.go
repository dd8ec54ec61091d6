package rdna

import (
	"strings"
	"testing"

	"github.com/hipengine/hipengine/ops_hip/internal/rdna/exec"
)

// TestCrossLane runs every cross-lane operation with its destination equal to
// its source, on all lanes and with the odd lanes inactive.
func TestCrossLane(t *testing.T) {
	x := make([]int32, 32)
	for i := range x {
		x[i] = int32(1000 + i*i)
	}
	addr := func(i int) int { return (i*5 + 3) & 31 }
	row := func(i, k int) int { return i&16 | k&15 }
	from := func(lane func(i int) int) func(i int) int32 {
		return func(i int) int32 { return x[lane(i)] }
	}
	// evens makes the result of an operation that ran on even lanes alone.
	evens := func(f func(i int) int32) func(i int) int32 {
		return func(i int) int32 {
			if i&1 != 0 {
				return -1
			}
			return f(i)
		}
	}
	tests := []struct {
		name string
		want func(i int) int32
	}{
		{"row_ror:1", from(func(i int) int { return row(i, i-1) })},
		{"permlanex16 identity", from(func(i int) int { return i ^ 16 })},
		{"ds_bpermute", from(addr)},
		{"permlane16 reversed halves", from(func(i int) int { return row(i, i^8) })},
		{"ds_permute", func(i int) int32 {
			for k := range x {
				if addr(k) == i {
					return x[k]
				}
			}
			return 0
		}},
		{"row_share:5", from(func(i int) int { return row(i, 5) })},
		{"row_xmask:6", from(func(i int) int { return i ^ 6 })},
		{"quad_perm 3 0 2 1", from(func(i int) int { return i&^3 | []int{3, 0, 2, 1}[i&3] })},
		{"row_mirror", from(func(i int) int { return row(i, 15-i) })},
		{"row_half_mirror", from(func(i int) int { return i&^7 | (7 - i&7) })},
		{"row_shl:3 bound_ctrl", func(i int) int32 {
			if i&15 > 12 {
				return 0
			}
			return x[i+3]
		}},
		{"row_shr:3 keeps lanes without source", func(i int) int32 {
			if i&15 < 3 {
				return x[i]
			}
			return x[i-3]
		}},
		{"row_ror:2 with row and bank masks", func(i int) int32 {
			if i < 16 || i>>2&1 != 0 {
				return x[i]
			}
			return x[row(i, i-2)]
		}},
		{"dpp8 reversed", from(func(i int) int { return i ^ 7 })},
		{"VOP3 row_ror:4", func(i int) int32 { return x[i] + x[row(i, i-4)] }},
		{"swizzle 01pip", from(func(i int) int { return i&5 | 8 | ^i&2 })},
		{"swizzle quad_perm", from(func(i int) int { return i ^ 2 })},
		{"row_shr:1 from inactive lanes keeps", evens(func(i int) int32 { return x[i] })},
		{"row_shr:1 bound_ctrl from inactive lanes reads 0", evens(func(i int) int32 { return x[i] })},
		{"row_ror:1 fi reads inactive lanes", evens(func(i int) int32 { return x[i] + x[row(i, i-1)] })},
		{"dpp8 from inactive lanes reads 0", evens(func(int) int32 { return 0 })},
		{"dpp8 fi reads inactive lanes", evens(func(i int) int32 { return x[i^1] })},
		{"ds_bpermute from inactive lanes reads 0", evens(func(i int) int32 {
			if addr(i)&1 != 0 {
				return 0
			}
			return x[addr(i)]
		})},
		{"swizzle from inactive lanes reads 0", evens(func(int) int32 { return 0 })},
	}
	eachTarget(t, func(t *testing.T, target string) {
		b := load(t, target, "cross_lane")
		y := up(b, make([]int32, 32*len(tests)))
		// The kernel reads scalar registers in inline assembly, where LLVM does not look when it places s_wait_alu.
		checks := Checks{Poison: true, Races: true, Waits: true, ReadOnly: true, WaveSeed: 1}
		if _, err := b.run("cross", 32, nil, Options{Checks: checks}, up(b, x), y); err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(target, "gfx12") {
			_, err := b.run("cross", 32, nil, Options{Checks: Checks{SGPR: true}}, up(b, x), y)
			wantFault(t, err, exec.StaleSGPR)
		}
		got := down[int32](b, y, 32*len(tests))
		for k, test := range tests {
			for i := range 32 {
				if want := test.want(i); got[32*k+i] != want {
					t.Errorf("%s: lane %d = %d, want %d", test.name, i, got[32*k+i], want)
					break
				}
			}
		}
	})
}
