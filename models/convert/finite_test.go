package convert

import (
	"math"
	"path/filepath"
	"strings"
	"testing"
)

// TestNonFinite refuses weights that are no numbers, and those that the new type cannot hold, by name, row and
// element.
func TestNonFinite(t *testing.T) {
	const name, row, element = "model.layers.0.mlp.down_proj.weight", 3, 70
	nan, inf := float32(math.NaN()), float32(math.Inf(-1))
	for _, c := range []struct {
		typ   FType
		value float32
		want  string // "" if it is well
	}{
		{F32, nan, "NaN"}, {F16, nan, "NaN"}, {BF16, nan, "NaN"}, {Q8_0, nan, "NaN"}, {Q4_K_M, nan, "NaN"},
		{F32, inf, "-Inf"}, {Q8_0, inf, "-Inf"},
		{F16, 131072, "131072, which is beyond what F16"}, {F16, 65504, ""}, {F16, -65520, "-65520"},
		{BF16, 131072, ""}, {BF16, math.MaxFloat32, "beyond what BF16"}, {F32, math.MaxFloat32, ""},
		{Q8_0, 131072, ""}, {Q8_0, 1e7, "1e+07, which is beyond what Q8_0"}, {Q4_K_M, 1e9, "beyond what"},
	} {
		dir := makeFolderOf(t, qwen2Shapes(), func(n string, i int) float32 {
			if n == name && i == row*256+element {
				return c.value
			}
			return valueAt(n, i)
		})
		err := Convert(t.Context(), dir, filepath.Join(t.TempDir(), "x.gguf"), Options{Type: c.typ, Threads: 2})
		switch {
		case c.want == "" && err == nil:
		case c.want == "" || err == nil:
			t.Errorf("%v of %v: error %v", c.typ, c.value, err)
		default:
			for _, part := range []string{c.want, "ffn_down", "row 3, element 70"} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%v of %v: error %v, want %q in it", c.typ, c.value, err, part)
				}
			}
		}
	}
}
