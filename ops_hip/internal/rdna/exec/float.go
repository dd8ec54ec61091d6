package exec

import (
	"math"
	"math/bits"
)

// f16Table holds the float32 of every binary16 pattern.
var f16Table = func() *[1 << 16]float32 {
	t := new([1 << 16]float32)
	for i := range t {
		t[i] = f16ToF32(uint16(i))
	}
	return t
}()

// f16ToF32 converts binary16 to binary32; the result is exact.
func f16ToF32(h uint16) float32 {
	sign := uint32(h>>15) << 31
	exp, frac := uint32(h>>10&31), uint32(h&1023)
	switch exp {
	case 0:
		f := float32(frac) * (1.0 / (1 << 24))
		return math.Float32frombits(math.Float32bits(f) | sign)
	case 31:
		return math.Float32frombits(sign | 0x7f800000 | frac<<13)
	}
	return math.Float32frombits(sign | (exp+112)<<23 | frac<<13)
}

// f64ToF16 rounds to nearest even once.
func f64ToF16(f float64) uint16 {
	return uint16(roundFloat(math.Float64bits(f), 10, 5, false))
}

// f32ToF16 rounds to nearest even.
func f32ToF16(f float32) uint16 {
	u := math.Float32bits(f)
	sign, u := uint16(u>>16&0x8000), u&0x7fffffff
	switch {
	case u >= 0x7f800000:
		if u > 0x7f800000 {
			return sign | 0x7e00 | uint16(u>>13&0x3ff)
		}
		return sign | 0x7c00
	case u >= 0x477ff000:
		return sign | 0x7c00
	case u < 0x38800000: // subnormal result: let the adder round
		f := math.Float32frombits(u) + 0.5
		return sign | uint16(math.Float32bits(f)-0x3f000000)
	}
	return sign | uint16((u+0xfff+u>>13&1-0x38000000)>>13)
}

// f32ToF16RTZ rounds towards zero.
func f32ToF16RTZ(f float32) uint16 {
	return uint16(roundFloat(math.Float64bits(float64(f)), 10, 5, true))
}

// roundFloat rounds binary64 bits to a format with the given fraction and
// exponent widths (IEEE layout with infinities), to nearest even or towards zero.
func roundFloat(u uint64, fracBits, expBits uint, rtz bool) uint64 {
	sign := u >> 63 << (fracBits + expBits)
	exp := int(u >> 52 & 0x7ff)
	frac := u & (1<<52 - 1)
	maxExp := uint64(1)<<expBits - 1
	if exp == 0x7ff {
		if frac != 0 {
			return sign | maxExp<<fracBits | 1<<(fracBits-1) | frac>>(52-fracBits)
		}
		return sign | maxExp<<fracBits
	}
	if exp == 0 {
		return sign // binary64 subnormals are far below every narrower format
	}
	bias := int(1)<<(expBits-1) - 1
	e := exp - 1023 + bias
	m := frac | 1<<52
	shift := 52 - fracBits
	if e <= 0 {
		if e < -int(fracBits)-1 {
			return sign
		}
		shift += uint(1 - e)
		e = 0
	}
	q := m >> shift
	rem := m & (1<<shift - 1)
	half := uint64(1) << (shift - 1)
	if !rtz && (rem > half || rem == half && q&1 != 0) {
		q++
	}
	if e > 0 {
		q += uint64(e-1) << fracBits // the hidden bit adds the last one
	}
	if q >= maxExp<<fracBits {
		if rtz {
			return sign | maxExp<<fracBits - 1
		}
		return sign | maxExp<<fracBits
	}
	return sign | q
}

// f32ToBF16 rounds to nearest even.
func f32ToBF16(f float32) uint16 {
	u := math.Float32bits(f)
	if u&0x7fffffff > 0x7f800000 {
		return uint16(u>>16) | 0x40
	}
	return uint16((u + 0x7fff + u>>16&1) >> 16)
}

// bf16ToF32 is exact.
func bf16ToF32(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

// fma32 is the fused multiply-add of binary32. The product of two binary32 is
// exact in binary64; rounding the sum to binary32 is right unless the binary64
// sum is a tie of binary32 or the result is subnormal, where the rounding error
// of the sum decides.
func fma32(a, b, c float32) float32 {
	p := float64(a) * float64(b)
	s := p + float64(c)
	u := math.Float64bits(s)
	if u&0x1fffffff != 0x10000000 && u>>52&0x7ff >= 1023-126 {
		return float32(s)
	}
	return fma32Slow(p, float64(c), s)
}

// fma32Slow rounds p+c once to binary32, where s is the sum rounded to binary64:
// it makes the last bit of s sticky (round to odd), so that the second rounding
// cannot go wrong.
func fma32Slow(p, c, s float64) float32 { return float32(roundToOdd(p, c, s)) }

// roundToOdd returns p+c rounded to odd, given s = p+c rounded to nearest.
func roundToOdd(p, c, s float64) float64 {
	if s == 0 || math.IsInf(s, 0) || math.IsNaN(s) {
		return s
	}
	t := s - p
	err := float64(p-float64(s-t)) + float64(c-t) // Knuth's two-sum
	u := math.Float64bits(s)
	if err == 0 || u&1 != 0 {
		return s
	}
	if (err > 0) == (s > 0) {
		return math.Float64frombits(u + 1)
	}
	return math.Float64frombits(u - 1)
}

// fma16 is the fused multiply-add of binary16: the product is exact in
// binary64, the sum is rounded to odd and then once to binary16.
func fma16(a, b, c float32) uint16 {
	p, d := float64(a)*float64(b), float64(c)
	return f64ToF16(roundToOdd(p, d, p+d))
}

const (
	denorm32In  = 1 << 4 // mode bits that keep denormals
	denorm32Out = 1 << 5
	quietBit32  = 1 << 22
	nan32       = 0x7fc00000
)

// isSNaN32 reports a signalling NaN.
func isSNaN32(u uint32) bool {
	return u&0x7f800000 == 0x7f800000 && u&0x7fffff != 0 && u&quietBit32 == 0
}

// isDenorm32 reports a denormal.
func isDenorm32(u uint32) bool { return u&0x7f800000 == 0 && u&0x7fffff != 0 }

// flush32 replaces a denormal by a zero of its sign.
func flush32(u uint32) uint32 {
	if u&0x7f800000 == 0 {
		return u & 0x80000000
	}
	return u
}

// trans32 evaluates a transcendental function with the flushing that the units
// do whatever the mode says.
func trans32(u uint32, f func(float64) float64) uint32 {
	x := float64(math.Float32frombits(flush32(u)))
	return flush32(math.Float32bits(float32(f(x))))
}

func rcp(x float64) float64  { return 1 / x }
func rsq(x float64) float64  { return 1 / math.Sqrt(x) }
func log2(x float64) float64 { return math.Log2(x) }

// sinTurns is sin(2 pi x); arguments beyond 256 turns give 0.
func sinTurns(x float64) float64 {
	if math.Abs(x) > 256 {
		return 0
	}
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return math.NaN()
	}
	return turns(x, 0)
}

// cosTurns is cos(2 pi x); arguments beyond 256 turns give 1.
func cosTurns(x float64) float64 {
	if math.Abs(x) > 256 {
		return 1
	}
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return math.NaN()
	}
	return turns(x, 1)
}

// turns evaluates sin(2 pi x + quarter pi/2) with exact values at multiples of a
// quarter turn, which a reduction modulo pi would miss.
func turns(x float64, quarter int) float64 {
	neg := math.Signbit(x)
	x = math.Abs(x)
	x -= math.Floor(x)
	k := int(math.Round(x * 4))
	r := (x - float64(k)/4) * (2 * math.Pi) // |r| <= pi/4
	k &= 3
	if quarter == 1 {
		k++
		neg = false // cosine is even
	}
	var y float64
	switch k & 3 {
	case 0:
		y = math.Sin(r)
	case 1:
		y = math.Cos(r)
	case 2:
		y = -math.Sin(r)
	default:
		y = -math.Cos(r)
	}
	if y == 0 { // of -sin(0)
		y = 0
	}
	if neg {
		y = -y
	}
	return y
}

// exponent32 returns the biased exponent.
func exponent32(u uint32) int { return int(u >> 23 & 255) }

// rndne64 rounds to the nearest integer, ties to even.
func rndne64(x float64) float64 { return math.RoundToEven(x) }

// fract64 is x - floor(x), kept below 1.
func fract64(x float64) float64 {
	return math.Min(x-math.Floor(x), math.Nextafter(1, 0))
}

// satI32 converts with truncation and saturation; NaN gives 0.
func satI32(x float64) uint32 {
	switch {
	case x != x:
		return 0
	case x >= math.MaxInt32:
		return math.MaxInt32
	case x <= math.MinInt32:
		return 1 << 31
	}
	return uint32(int32(x))
}

// satU32 converts with truncation and saturation; NaN gives 0.
func satU32(x float64) uint32 {
	switch {
	case !(x > 0):
		return 0
	case x >= math.MaxUint32:
		return math.MaxUint32
	}
	return uint32(x)
}

// reverse32 mirrors the bits.
func reverse32(u uint32) uint32 { return bits.Reverse32(u) }
