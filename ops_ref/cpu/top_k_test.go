package cpu

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/hipengine/hipengine/ops"
	opsref "github.com/hipengine/hipengine/ops_ref"
	"github.com/hipengine/hipengine/ops_ref/internal/cast"
	"github.com/hipengine/hipengine/tensor"
)

// TestTopK checks the reference and the fast kernel against rows whose order is known.
func TestTopK(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	long := make([]float32, 500) // a segment for each of several workers
	long[3], long[499], long[130], long[131] = 1, 1, 2, 2
	bad := slices.Clone(long)
	bad[400], bad[70] = nan, -inf
	devs := map[string]ops.Device{"ref": opsref.New(opsref.Options{Threads: 2})}
	for n := 1; n <= 3; n++ {
		devs[fmt.Sprint("cpu", n)] = New(Options{Threads: n})
	}
	for name, dev := range devs {
		defer dev.Close()
		for _, c := range []struct {
			x   []float32
			k   int
			ids []int32
		}{
			{[]float32{5}, 1, []int32{0}},
			{[]float32{1, 3, 2}, 1, []int32{1}},
			{[]float32{1, 3, 2}, 3, []int32{1, 2, 0}},
			{[]float32{-1, float32(math.Copysign(0, -1)), 0, -2}, 3, []int32{1, 2, 0}},
			{[]float32{7, 7, 7, 7}, 2, []int32{0, 1}},
			{[]float32{-math.MaxFloat32, math.MaxFloat32, -1e-45, 1e-45}, 4, []int32{1, 3, 2, 0}},
			{long, 1, []int32{130}},
			{long, 5, []int32{130, 131, 3, 499, 0}},
			{[]float32{1, nan, 2}, 2, []int32{-2, -2}},
			{[]float32{inf, 1}, 1, []int32{-1}},
			{[]float32{1, 2, -inf}, 2, []int32{-3, -3}},
			{bad, 3, []int32{-71, -71, -71}},
		} {
			in := operands{raw: [][]byte{cast.AsBytes(c.x)}}
			got := compute(t, dev, ops.TopKOp, ops.Case{Attrs: ops.TopKAttrs{K: c.k},
				Args: []ops.Arg{{Leaf: ops.Input, DType: tensor.F32, Shape: tensor.Shape{1, len(c.x)}}}}, in)
			for j, id := range c.ids {
				at := id
				if id < 0 {
					at = -1 - id
				}
				if v := float64(c.x[at]); got[0][j] != float64(id) || got[1][j] != v && v == v {
					t.Errorf("%s: %v: result %d is %v at %v, want %v at %d", name, c.x[:min(6, len(c.x))], j,
						got[1][j], got[0][j], v, id)
				}
			}
		}
	}
}
