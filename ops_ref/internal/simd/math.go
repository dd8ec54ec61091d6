package simd

import "math"

// Elementary functions in float32, as the vector kernels compute them: the same operations in the same order, with
// fma where they fuse.

// exp32 returns e^x: n = x/ln 2 rounded, a polynomial (Cephes, expf) on the rest, and two factors of about half the
// power of 2, so that all finite results are reached. Above the range it is infinite, below it zero; subnormal
// results are zero too. Relative error below 2^-22.
func exp32(x float32) float32 {
	switch {
	case x != x:
		return x
	case x > expHigh:
		return float32(math.Inf(1))
	case x < expLow:
		return 0
	}
	t := float32(math.RoundToEven(float64(float32(x * log2E))))
	r := fma(-t, ln2High, x)
	r = fma(-t, ln2Low, r)
	p := expPoly[0]
	for _, c := range expPoly[1:] {
		p = fma(p, r, c)
	}
	p = fma(float32(r*r), p, r) + 1
	n := int32(t)
	half := n >> 1
	p *= math.Float32frombits(uint32(half+127) << 23)
	return p * math.Float32frombits(uint32(n-half+127)<<23)
}

// The range of exp32 and the two parts of ln 2, of which the first has few bits.
const (
	expHigh = 88.72283
	expLow  = -87.33654
	log2E   = float32(1.44269504088896341)
	ln2High = 0.693359375
	ln2Low  = -2.12194440e-4
)

var expPoly = [...]float32{1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1,
	5.0000001201e-1}

func sigmoid32(x float32) float32 { return 1 / (exp32(-x) + 1) }

func silu32(x float32) float32 { return x / (exp32(-x) + 1) }

// gelu32 is the tanh form of GELU, x/2·(1+tanh z) with z = √(2/π)(x + 0.044715x³), as x/(1+exp(-2z)): no difference
// cancels.
func gelu32(x float32) float32 {
	const linear, cubic = -2 * 0.79788456080286535588, -2 * 0.79788456080286535588 * 0.044715
	u := float32(float32(float32(x*x)*float32(cubic))+float32(linear)) * x
	return x / (exp32(u) + 1)
}

// tanh32 is odd: a polynomial (Cephes, tanhf) below 0.625, 1 - 2/(1+exp(2x)) above it.
func tanh32(x float32) float32 {
	a := math.Float32frombits(math.Float32bits(x) &^ (1 << 31))
	if a >= 0.625 {
		t := 1 - 2/(exp32(a+a)+1)
		return math.Float32frombits(math.Float32bits(t) | math.Float32bits(x)&(1<<31))
	}
	s := float32(x * x)
	p := tanhPoly[0]
	for _, c := range tanhPoly[1:] {
		p = fma(p, s, c)
	}
	return fma(x, float32(p*s), x)
}

var tanhPoly = [...]float32{-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1,
	-3.33332819422e-1}

// min32 and max32 return y if either is NaN.
func min32(x, y float32) float32 {
	if x < y {
		return x
	}
	return y
}

func max32(x, y float32) float32 {
	if x > y {
		return x
	}
	return y
}

// toHalf rounds x to float16, to nearest even.
func toHalf(x float32) uint16 {
	bits := math.Float32bits(x)
	sign, a := uint16(bits>>16&0x8000), bits&^(1<<31)
	switch {
	case a > 0x7f800000: // NaN, made quiet
		return sign | 0x7e00 | uint16(a>>13&0x1ff)
	case a >= 0x477ff000: // rounds beyond the largest
		return sign | 0x7c00
	case a < 0x38800000: // subnormal: adding 1/2 leaves the multiple of 2^-24 in the last bits
		return sign | uint16(math.Float32bits(math.Float32frombits(a)+0.5)-0x3f000000)
	}
	return sign | uint16((a+0xfff+a>>13&1-0x38000000)>>13)
}
