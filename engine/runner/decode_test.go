package runner

import (
	"encoding/binary"
	"math"
	"testing"
)

func TestDecode(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, c := range []struct {
		name string
		x    []float32
		want int
	}{
		{"none", nil, -1},
		{"tail", []float32{1, 2, 3, 4, 5, 6, 7}, -1},
		{"sum overflows", []float32{0, math.MaxFloat32, math.MaxFloat32, math.MaxFloat32}, -1},
		{"infinities cancel", []float32{0, 1, inf, -inf, nan}, 2},
		{"in a tail", []float32{0, 1, 2, 3, 4, nan}, 5},
		{"first of a group", []float32{0, 1, 2, 3, -inf, 5, 6, 7}, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			var raw []byte
			for _, f := range c.x {
				raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(f))
			}
			got := make([]float32, len(c.x))
			if i := decode(got, raw); i != c.want {
				t.Errorf("%d is not finite, want %d", i, c.want)
			}
			for i, f := range c.x {
				if c.want >= 0 && i > c.want {
					break
				}
				if math.Float32bits(got[i]) != math.Float32bits(f) {
					t.Errorf("element %d is %v, want %v", i, got[i], f)
				}
			}
		})
	}
}
