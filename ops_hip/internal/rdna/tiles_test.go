package rdna

import (
	"math"
	"testing"
)

// bf16bits rounds to bfloat16, ties to even.
func bf16bits(x float64) uint16 {
	u := math.Float32bits(float32(x))
	return uint16((u + 0x7fff + u>>16&1) >> 16)
}

func bf16value(h uint16) float64 { return float64(math.Float32frombits(uint32(h) << 16)) }

// fp8value and bf8value are OCP E4M3 and E5M2, built from their fields.
func fp8value(x uint8) float64 {
	e, m := int(x>>3&15), float64(x&7)
	v := m * 0x1p-9
	if e > 0 {
		v = math.Ldexp(1+m/8, e-7)
	}
	if x>>7 != 0 {
		return -v
	}
	return v
}

func bf8value(x uint8) float64 { return f16value(uint16(x) << 8) }

func nibble(x int32, k int, signed bool) int32 {
	v := x >> (4 * k) & 15
	if signed && v > 7 {
		v -= 16
	}
	return v
}

// TestTiles multiplies one tile in every fragment type, with an accumulator that
// differs in every element, so that a wrong row, column or element order shows.
func TestTiles(t *testing.T) {
	eachTarget(t, func(t *testing.T, target string) {
		b := load(t, target, "gemm")
		r := rng(20)
		c := make([]float32, 256)
		for i := range c {
			c[i] = float32(i) * 3
		}
		product := func(a, w func(row, k int) float64, k int) []float64 {
			want := make([]float64, 256)
			for i := range want {
				want[i] = float64(c[i])
				for j := range k {
					want[i] += a(i/16, j) * w(i%16, j)
				}
			}
			return want
		}
		d := up(b, make([]float32, 256))

		ab, wb := make([]uint16, 256), make([]uint16, 256)
		for i := range ab {
			ab[i], wb[i] = bf16bits(r.NormFloat64()), bf16bits(r.NormFloat64())
		}
		b.must("tile_bf16", 32, nil, up(b, ab), up(b, wb), up(b, c), d)
		want := product(func(i, k int) float64 { return bf16value(ab[i*16+k]) },
			func(i, k int) float64 { return bf16value(wb[i*16+k]) }, 16)
		closeTo(t, "bf16", down[float32](b, d, 256), want, 1e-7, 0)

		ah, wh, ch := halfSlice(r, 256), halfSlice(r, 256), make([]uint16, 256)
		for i := range ch {
			ch[i] = f16bits(float64(c[i]))
		}
		dh := up(b, make([]uint16, 256))
		b.must("tile_f16_acc", 32, nil, up(b, ah), up(b, wh), up(b, ch), dh)
		want = product(func(i, k int) float64 { return f16value(ah[i*16+k]) },
			func(i, k int) float64 { return f16value(wh[i*16+k]) }, 16)
		for i, h := range down[uint16](b, dh, 256) {
			if h != f16bits(want[i]) {
				t.Fatalf("f16 accumulator: d[%d] = %v, want %v", i, f16value(h), want[i])
			}
		}

		ai, wi, ci := make([]int32, 64), make([]int32, 64), make([]int32, 256)
		for i := range ai {
			ai[i], wi[i] = int32(r.Uint32()), int32(r.Uint32())
		}
		for i := range ci {
			ci[i] = int32(c[i])
		}
		b.must("tile_iu4", 32, nil, up(b, ai), up(b, wi), up(b, ci), d)
		want = product(func(i, k int) float64 { return float64(nibble(ai[i*2+k/8], k%8, true)) },
			func(i, k int) float64 { return float64(nibble(wi[i*2+k/8], k%8, false)) }, 16)
		for i, v := range down[int32](b, d, 256) {
			if float64(v) != want[i] {
				t.Fatalf("iu4: d[%d] = %d, want %v", i, v, want[i])
			}
		}
		if target != "gfx1200" && target != "gfx1201" {
			return
		}
		b.must("tile_iu4_long", 32, nil, up(b, ai), up(b, wi), up(b, ci), d)
		want = product(func(i, k int) float64 { return float64(nibble(ai[i*4+k/8], k%8, true)) },
			func(i, k int) float64 { return float64(nibble(wi[i*4+k/8], k%8, true)) }, 32)
		for i, v := range down[int32](b, d, 256) {
			if float64(v) != want[i] {
				t.Fatalf("iu4 of 32: d[%d] = %d, want %v", i, v, want[i])
			}
		}
		a8, w8 := make([]uint8, 256), make([]uint8, 256)
		for i := range a8 {
			a8[i], w8[i] = uint8(r.Uint32())&0xbf, uint8(r.Uint32())&0xbf // no NaN, moderate exponents
		}
		b.must("tile_fp8", 32, nil, up(b, a8), up(b, w8), up(b, c), d)
		want = product(func(i, k int) float64 { return fp8value(a8[i*16+k]) },
			func(i, k int) float64 { return bf8value(w8[i*16+k]) }, 16)
		closeTo(t, "fp8", down[float32](b, d, 256), want, 1e-7, 1)
	})
}

// TestDenormalMode runs one kernel built to keep and one built to flush f32
// denormals.
func TestDenormalMode(t *testing.T) {
	eachTarget(t, func(t *testing.T, target string) {
		for _, name := range []string{"norm", "norm.flush"} {
			b := load(t, target, name)
			x, w, y := []float32{1, 0x1p-127, -2, 0x1p-100}, []float32{1, 1, 0x1p-149, 0x1p-40},
				up(b, make([]float32, 4))
			b.must("rms_norm", 256, nil, up(b, x), up(b, w), y, 4, float32(0))
			got := down[float32](b, y, 4)
			scale := float32(1 / math.Sqrt(5.0/4))
			keeps := name == "norm"
			for i, want := range []float32{scale, 0x1p-127 * scale, -2 * scale * 0x1p-149,
				0x1p-100 * scale * 0x1p-40} {
				if !keeps && i > 0 {
					want = 0
				}
				if got[i] != want && !(got[i] == 0 && want == 0) {
					t.Errorf("%s: y[%d] = %g, want %g", name, i, got[i], want)
				}
			}
		}
	})
}
