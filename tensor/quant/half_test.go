package quant

import (
	"encoding/binary"
	"math"
	"sort"
	"testing"

	"github.com/hipengine/hipengine/tensor"
)

// halfValue is the definition of binary16 in float64, which holds all its values.
func halfValue(h uint16) float64 {
	sign := 1.0
	if h>>15 != 0 {
		sign = -1
	}
	exp, man := int(h>>10&31), float64(h&0x3FF)
	switch {
	case exp == 31 && man == 0:
		return math.Inf(int(sign))
	case exp == 31:
		return math.NaN()
	case exp == 0:
		return math.Copysign(man*0x1p-24, sign)
	}
	return sign * math.Ldexp(1+man/1024, exp-15)
}

func TestHalfToFloat(t *testing.T) {
	for i := range 1 << 16 {
		h := uint16(i)
		got, want := HalfToFloat(h), halfValue(h)
		if math.IsNaN(want) {
			if got == got {
				t.Fatalf("%#04x = %v, want NaN", h, got)
			}
			if back := FloatToHalf(got); back != h|0x200 { // quiet, the payload kept
				t.Fatalf("NaN %#04x became %#04x", h, back)
			}
			continue
		}
		if float64(got) != want || math.Signbit(float64(got)) != (h>>15 != 0) {
			t.Fatalf("%#04x = %v, want %v", h, got, want)
		}
		if back := FloatToHalf(got); back != h {
			t.Fatalf("%#04x = %v became %#04x", h, got, back)
		}
	}
}

// nearest returns the code 0..n-1 whose value is nearest to x >= 0, the even one of equally near. value must
// ascend.
func nearest(x float64, n int, value func(int) float64) int {
	hi := sort.Search(n, func(i int) bool { return value(i) >= x })
	switch {
	case hi == 0:
		return 0
	case hi == n:
		return n - 1
	}
	below, above := x-value(hi-1), value(hi)-x
	if below < above || below == above && hi%2 == 1 {
		return hi - 1
	}
	return hi
}

// slowHalf rounds as IEEE 754 says: to the nearest of all values, as if 2^16 were the value of infinity.
func slowHalf(x float32) uint16 {
	const infinity = 0x7C00
	h := uint16(nearest(math.Abs(float64(x)), infinity+1, func(i int) float64 {
		if i == infinity {
			return 0x1p16
		}
		return halfValue(uint16(i))
	}))
	if math.Signbit(float64(x)) {
		h |= 0x8000
	}
	return h
}

// slowBFloat is slowHalf for bfloat16, of which infinity stands for 2^128.
func slowBFloat(x float32) uint16 {
	const infinity = 0x7F80
	b := uint16(nearest(math.Abs(float64(x)), infinity+1, func(i int) float64 {
		if i == infinity {
			return 0x1p128
		}
		return float64(math.Float32frombits(uint32(i) << 16))
	}))
	if math.Signbit(float64(x)) {
		b |= 0x8000
	}
	return b
}

// around returns x and its neighbours, with both signs.
func around(x float32) []float32 {
	inf := float32(math.Inf(1))
	down, up := math.Nextafter32(x, -inf), math.Nextafter32(x, inf)
	return []float32{x, down, up, -x, -down, -up}
}

// randomBits calls f with n float32 of random bits that are not NaN.
func randomBits(n int, f func(float32)) {
	g := lcg(1)
	for range n {
		if x := math.Float32frombits(g.nx()<<16 ^ g.nx()); x == x {
			f(x)
		}
	}
}

func TestFloatToHalf(t *testing.T) {
	check := func(x float32) {
		if got, want := FloatToHalf(x), slowHalf(x); got != want {
			t.Fatalf("%v (%#08x) = %#04x, want %#04x", x, math.Float32bits(x), got, want)
		}
	}
	for h := range uint16(0x7C00) {
		next := halfValue(h + 1)
		if h == 0x7BFF {
			next = 0x1p16
		}
		for _, x := range around(float32((halfValue(h) + next) / 2)) { // exact
			check(x)
		}
	}
	for _, x := range []float32{0x1p16, math.MaxFloat32, math.SmallestNonzeroFloat32, float32(math.Inf(1))} {
		for _, x := range around(x) {
			if x == x {
				check(x)
			}
		}
	}
	randomBits(200_000, check)
	for i := range 1 << 17 { // 2^-26 to 2^16: the exponents of binary16 are few among random bits
		check(math.Float32frombits(uint32(0x32800000 + i*0xA8B)))
	}
}

func TestBFloat(t *testing.T) {
	for i := range 1 << 16 {
		b := uint16(i)
		x := BFloatToFloat(b)
		if math.Float32bits(x) != uint32(b)<<16 {
			t.Fatalf("%#04x = %v", b, x)
		}
		want := b
		if x != x {
			want |= 0x40 // quiet
		}
		if back := FloatToBFloat(x); back != want {
			t.Fatalf("%#04x became %#04x, want %#04x", b, back, want)
		}
		if b < 0x7F80 {
			mid := math.Float32frombits(uint32(b)<<16 | 0x8000)
			for _, x := range around(mid) {
				if got, want := FloatToBFloat(x), slowBFloat(x); got != want {
					t.Fatalf("%v (%#08x) = %#04x, want %#04x", x, math.Float32bits(x), got, want)
				}
			}
		}
	}
	randomBits(200_000, func(x float32) {
		if got, want := FloatToBFloat(x), slowBFloat(x); got != want {
			t.Fatalf("%v = %#04x, want %#04x", x, got, want)
		}
	})
	for _, bits := range []uint32{0x7F800001, 0xFF800001, 0x7FFFFFFF, 0x7FC00000} {
		if y := BFloatToFloat(FloatToBFloat(math.Float32frombits(bits))); y == y {
			t.Errorf("NaN %#08x became %v", bits, y)
		}
		if y := HalfToFloat(FloatToHalf(math.Float32frombits(bits))); y == y {
			t.Errorf("NaN %#08x became half %v", bits, y)
		}
	}
}

func TestFloats(t *testing.T) {
	xs := []float32{0, float32(math.Copysign(0, -1)), 1, -1.5, 0x1p-14, 0x1p-24, 65504, float32(math.Inf(-1))}
	for _, d := range []tensor.DType{tensor.F16, tensor.BF16, tensor.F32, tensor.F64} {
		t.Run(d.String(), func(t *testing.T) {
			f, ok := d.Format()
			if !ok {
				t.Fatal("not registered")
			}
			b, y := make([]byte, len(xs)*f.Bytes), make([]float32, len(xs))
			if err := Quantize(d, b, xs, len(xs), nil); err != nil {
				t.Fatal(err)
			}
			if err := Dequantize(d, y, b); err != nil {
				t.Fatal(err)
			}
			for i, x := range xs {
				want := x
				if d == tensor.BF16 && x == 65504 {
					want = 65536
				}
				if math.Float32bits(y[i]) != math.Float32bits(want) {
					t.Errorf("%v became %v, want %v", x, y[i], want)
				}
			}
		})
	}

	b := binary.LittleEndian.AppendUint64(nil, math.Float64bits(1+0x1p-24+0x1p-50))
	b = binary.LittleEndian.AppendUint64(b, math.Float64bits(-1e300))
	y := make([]float32, 2)
	if err := Dequantize(tensor.F64, y, b); err != nil {
		t.Fatal(err)
	}
	if y[0] != 1+0x1p-23 || y[1] != float32(math.Inf(-1)) {
		t.Errorf("float64 values rounded to %v", y)
	}
}
