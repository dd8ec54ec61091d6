package hf

import "math"

// NumPy's float32 exponential on processors with fused multiply-add, up to 2.52 units in the last place off.
// Converters compute -exp(A_log) with it, so that only the same function gives the same bytes as they do: the
// correctly rounded exponential changes 10 of the 24 values of the built-in model.
//
// Constants and steps are those of loops_exponent_log.dispatch.c.src and npy_simd_data.h (numpy/numpy): exp(x) =
// exp(y) * 2^k with k = x / ln 2 rounded to even and y = x - k ln 2 in two steps (Cody and Waite), and exp(y) as a
// quotient of polynomials of degrees 5 and 2. All products are fused with the sum that follows.
const (
	expMax    = 88.72283935546875
	expMin    = -103.97208404541015625
	ln2High   = 6.93145752e-1
	ln2Low    = 1.42860677e-6
	expDenom0 = 1.000000000000000000000e+00
	expDenom1 = -2.742335390411667452936e-01
	expDenom2 = 2.159509375685829852307e-02
)

var expNum = [...]float32{
	9.999999999980870924916e-01, 7.257664613233124478488e-01, 2.473615434895520810817e-01,
	5.114512081637298353406e-02, 6.757896990527504603057e-03, 5.082762527590693718096e-04,
}

// exp32 returns e**x as NumPy does.
func exp32(x float32) float32 {
	switch {
	case x != x:
		return x
	case x >= expMax:
		return float32(math.Inf(1))
	case x <= expMin:
		return 0
	}
	k := float32(math.RoundToEven(float64(x) * float64(float32(math.Log2E))))
	y := fma32(k, -ln2Low, fma32(k, -ln2High, x))
	num := expNum[len(expNum)-1]
	for i := len(expNum) - 2; i >= 0; i-- {
		num = fma32(num, y, expNum[i])
	}
	denom := fma32(fma32(expDenom2, y, expDenom1), y, expDenom0)
	return float32(math.Ldexp(float64(float32(num/denom)), int(k)))
}

// fma32 returns x*y + z, rounded once. In float64 the product is exact; the sum is rounded to odd, from where the
// second rounding gives what a single one would.
func fma32(x, y, z float32) float32 {
	p, c := float64(x)*float64(y), float64(z)
	sum := p + c
	part := sum - p
	if rest := (p - (sum - part)) + (c - part); rest != 0 {
		if bits := math.Float64bits(sum); bits&1 == 0 {
			if (rest > 0) == (sum > 0) {
				bits++
			} else {
				bits--
			}
			sum = math.Float64frombits(bits)
		}
	}
	return float32(sum)
}

// negExp turns the A_log of gated DeltaNet into -exp(A_log).
func negExp(x float32) float32 { return -exp32(x) }
