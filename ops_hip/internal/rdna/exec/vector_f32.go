package exec

import "math"

// floatOps are the f32 operations and conversions to and from f32.
var floatOps = map[string]vop{
	"v_add_f32": {f32: true, k2: func(d, a, b *vec) {
		z, y := d.f32(), b.f32()
		for i, x := range a.f32() {
			z[i] = x + y[i]
		}
	}},
	"v_sub_f32": {f32: true, k2: func(d, a, b *vec) {
		z, y := d.f32(), b.f32()
		for i, x := range a.f32() {
			z[i] = x - y[i]
		}
	}},
	"v_subrev_f32": {f32: true, k2: func(d, a, b *vec) {
		z, y := d.f32(), b.f32()
		for i, x := range a.f32() {
			z[i] = y[i] - x
		}
	}},
	"v_mul_f32": {f32: true, k2: func(d, a, b *vec) {
		z, y := d.f32(), b.f32()
		for i, x := range a.f32() {
			z[i] = x * y[i]
		}
	}},
	"v_mul_dx9_zero_f32": {f32: true, k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = mulDX9(a[i], b[i])
		}
	}},
	"v_min_f32": {f32: true, k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = minNum(a[i], b[i])
		}
	}},
	"v_max_f32": {f32: true, k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = maxNum(a[i], b[i])
		}
	}},
	"v_min3_f32": {f32: true, k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = minNum(minNum(a[i], b[i]), c[i])
		}
	}},
	"v_max3_f32": {f32: true, k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = maxNum(maxNum(a[i], b[i]), c[i])
		}
	}},
	"v_med3_f32": {f32: true, k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = med3Num(a[i], b[i], c[i])
		}
	}},
	"v_minmax_f32": {f32: true, k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = maxNum(minNum(a[i], b[i]), c[i])
		}
	}},
	"v_maxmin_f32": {f32: true, k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = minNum(maxNum(a[i], b[i]), c[i])
		}
	}},
	"v_min_num_f32": {f32: true, k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = minNum(a[i], b[i])
		}
	}},
	"v_max_num_f32": {f32: true, k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = maxNum(a[i], b[i])
		}
	}},
	"v_min3_num_f32": {f32: true, k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = minNum(minNum(a[i], b[i]), c[i])
		}
	}},
	"v_max3_num_f32": {f32: true, k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = maxNum(maxNum(a[i], b[i]), c[i])
		}
	}},
	"v_med3_num_f32": {f32: true, k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = med3Num(a[i], b[i], c[i])
		}
	}},
	"v_minmax_num_f32": {f32: true, k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = maxNum(minNum(a[i], b[i]), c[i])
		}
	}},
	"v_maxmin_num_f32": {f32: true, k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = minNum(maxNum(a[i], b[i]), c[i])
		}
	}},
	"v_minimum_f32": {f32: true, k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = minimum(a[i], b[i])
		}
	}},
	"v_maximum_f32": {f32: true, k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = maximum(a[i], b[i])
		}
	}},
	"v_minimum3_f32": {f32: true, k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = minimum(minimum(a[i], b[i]), c[i])
		}
	}},
	"v_maximum3_f32": {f32: true, k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = maximum(maximum(a[i], b[i]), c[i])
		}
	}},
	"v_minimummaximum_f32": {f32: true, k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = maximum(minimum(a[i], b[i]), c[i])
		}
	}},
	"v_maximumminimum_f32": {f32: true, k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = minimum(maximum(a[i], b[i]), c[i])
		}
	}},
	"v_fmac_dx9_zero_f32": {f32: true, acc: true, k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = fmaDX9(a[i], b[i], c[i])
		}
	}},
	"v_fma_f32":   {f32: true, k3: fmaLanes},
	"v_fmac_f32":  {f32: true, acc: true, k3: fmaLanes},
	"v_fmaak_f32": {f32: true, k3: fmaLanes},
	"v_fmamk_f32": {f32: true, k3: fmaLanes},
	"v_fma_dx9_zero_f32": {f32: true, k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = fmaDX9(a[i], b[i], c[i])
		}
	}},
	"v_div_fixup_f32": {f32: true, k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = divFixup32(a[i], b[i], c[i])
		}
	}},
	"v_ldexp_f32": {f32: true, ints: 2, k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = math.Float32bits(float32(math.Ldexp(float64(math.Float32frombits(a[i])), int(int32(b[i])))))
		}
	}},
	"v_exp_f32": {f32: true, k1: func(d, a *vec) {
		for i, x := range a {
			d[i] = trans32(x, math.Exp2)
		}
	}},
	"v_log_f32": {f32: true, k1: func(d, a *vec) {
		for i, x := range a {
			d[i] = trans32(x, log2)
		}
	}},
	"v_rcp_f32": {f32: true, k1: func(d, a *vec) {
		for i, x := range a {
			d[i] = trans32(x, rcp)
		}
	}},
	"v_rcp_iflag_f32": {f32: true, k1: func(d, a *vec) {
		for i, x := range a {
			d[i] = trans32(x, rcp)
		}
	}},
	"v_rsq_f32": {f32: true, k1: func(d, a *vec) {
		for i, x := range a {
			d[i] = trans32(x, rsq)
		}
	}},
	"v_sqrt_f32": {f32: true, k1: func(d, a *vec) {
		for i, x := range a {
			d[i] = trans32(x, math.Sqrt)
		}
	}},
	"v_sin_f32": {f32: true, k1: func(d, a *vec) {
		for i, x := range a {
			d[i] = trans32(x, sinTurns)
		}
	}},
	"v_cos_f32": {f32: true, k1: func(d, a *vec) {
		for i, x := range a {
			d[i] = trans32(x, cosTurns)
		}
	}},
	"v_trunc_f32": {f32: true, k1: func(d, a *vec) {
		for i, x := range a {
			d[i] = viaF64(x, math.Trunc)
		}
	}},
	"v_ceil_f32": {f32: true, k1: func(d, a *vec) {
		for i, x := range a {
			d[i] = viaF64(x, math.Ceil)
		}
	}},
	"v_floor_f32": {f32: true, k1: func(d, a *vec) {
		for i, x := range a {
			d[i] = viaF64(x, math.Floor)
		}
	}},
	"v_rndne_f32": {f32: true, k1: func(d, a *vec) {
		for i, x := range a {
			d[i] = viaF64(x, rndne64)
		}
	}},
	"v_fract_f32": {f32: true, k1: func(d, a *vec) {
		for i, x := range a {
			d[i] = fract32(x)
		}
	}},
	"v_frexp_mant_f32": {f32: true, k1: func(d, a *vec) {
		for i, x := range a {
			d[i] = frexpMant32(x)
		}
	}},
	"v_frexp_exp_i32_f32": {f32: true, ints: 8, k1: func(d, a *vec) {
		for i, x := range a {
			d[i] = frexpExp32(x)
		}
	}},
	"v_cvt_f32_i32": {f32: true, ints: 1, k1: func(d, a *vec) {
		for i, x := range a {
			d[i] = math.Float32bits(float32(int32(x)))
		}
	}},
	"v_cvt_f32_u32": {f32: true, ints: 1, k1: func(d, a *vec) {
		for i, x := range a {
			d[i] = math.Float32bits(float32(x))
		}
	}},
	"v_cvt_i32_f32": {f32: true, ints: 8, k1: func(d, a *vec) {
		for i, x := range a {
			d[i] = satI32(float64(math.Float32frombits(x)))
		}
	}},
	"v_cvt_u32_f32": {f32: true, ints: 8, k1: func(d, a *vec) {
		for i, x := range a {
			d[i] = satU32(float64(math.Float32frombits(x)))
		}
	}},
	"v_cvt_nearest_i32_f32": {f32: true, ints: 8, k1: func(d, a *vec) {
		for i, x := range a {
			d[i] = satI32(math.Floor(float64(math.Float32frombits(x)) + 0.5))
		}
	}},
	"v_cvt_floor_i32_f32": {f32: true, ints: 8, k1: func(d, a *vec) {
		for i, x := range a {
			d[i] = satI32(math.Floor(float64(math.Float32frombits(x))))
		}
	}},
	"v_cvt_f32_ubyte0": {f32: true, ints: 1, k1: func(d, a *vec) {
		for i, x := range a {
			d[i] = math.Float32bits(float32(x >> 0 & 255))
		}
	}},
	"v_cvt_f32_ubyte1": {f32: true, ints: 1, k1: func(d, a *vec) {
		for i, x := range a {
			d[i] = math.Float32bits(float32(x >> 8 & 255))
		}
	}},
	"v_cvt_f32_ubyte2": {f32: true, ints: 1, k1: func(d, a *vec) {
		for i, x := range a {
			d[i] = math.Float32bits(float32(x >> 16 & 255))
		}
	}},
	"v_cvt_f32_ubyte3": {f32: true, ints: 1, k1: func(d, a *vec) {
		for i, x := range a {
			d[i] = math.Float32bits(float32(x >> 24 & 255))
		}
	}},
	"v_cvt_f32_f16": {f32: true, src16: 1, k1: func(d, a *vec) {
		for i, x := range a {
			d[i] = math.Float32bits(f16Table[uint16(x)])
		}
	}},
	"v_cvt_f16_f32": {f32: true, dst16: true, k1: func(d, a *vec) {
		for i, x := range a {
			d[i] = uint32(f32ToF16(math.Float32frombits(x)))
		}
	}},
	"v_cvt_pk_rtz_f16_f32": {k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = uint32(f32ToF16RTZ(math.Float32frombits(a[i]))) | uint32(
				f32ToF16RTZ(math.Float32frombits(b[i])))<<16
		}
	}},
	"v_cvt_pk_i16_f32": {k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = uint32(uint16(clampInt(int32(satI32(float64(math.Float32frombits(a[i])))), -32768,
				32767))) | uint32(clampInt(int32(satI32(float64(math.Float32frombits(b[i])))), -32768, 32767))<<16
		}
	}},
	"v_cvt_pk_u16_f32": {k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = min(satU32(float64(math.Float32frombits(a[i]))),
				0xffff) | min(satU32(float64(math.Float32frombits(b[i]))), 0xffff)<<16
		}
	}},
	"v_cvt_pk_norm_i16_f32": {k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = normI16(float64(math.Float32frombits(a[i]))) | normI16(float64(math.Float32frombits(b[i])))<<16
		}
	}},
	"v_cvt_pk_norm_u16_f32": {k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = normU16(float64(math.Float32frombits(a[i]))) | normU16(float64(math.Float32frombits(b[i])))<<16
		}
	}},
	"v_cvt_pk_u8_f32": {k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = c[i]&^(255<<(8*(b[i]&3))) | min(satU32(rndne64(float64(math.Float32frombits(a[i])))),
				255)<<(8*(b[i]&3))
		}
	}},
	"v_cvt_f32_fp8": {k1: func(d, a *vec) {
		for i, x := range a {
			d[i] = math.Float32bits(fp8ToF32(uint8(x)))
		}
	}},
	"v_cvt_f32_bf8": {k1: func(d, a *vec) {
		for i, x := range a {
			d[i] = math.Float32bits(bf8ToF32(uint8(x)))
		}
	}},
}

func fmaLanes(d, a, b, c *vec) {
	z, y, s := d.f32(), b.f32(), c.f32()
	for i, x := range a.f32() {
		p := float64(x) * float64(y[i])
		sum := p + float64(s[i])
		if u := math.Float64bits(sum); u&0x1fffffff != 0x10000000 && u>>52&0x7ff >= 1023-126 {
			z[i] = float32(sum)
		} else {
			z[i] = fma32Slow(p, float64(s[i]), sum)
		}
	}
}

// mulDX9 multiplies with 0 times anything being 0.
func mulDX9(a, b uint32) uint32 {
	if a<<1 == 0 || b<<1 == 0 {
		return 0
	}
	return math.Float32bits(math.Float32frombits(a) * math.Float32frombits(b))
}

func fmaDX9(a, b, c uint32) uint32 {
	if a<<1 == 0 || b<<1 == 0 {
		return math.Float32bits(0 + math.Float32frombits(c))
	}
	return math.Float32bits(fma32(math.Float32frombits(a), math.Float32frombits(b), math.Float32frombits(c)))
}

func isNaN32(u uint32) bool { return u&0x7fffffff > 0x7f800000 }

// minNum returns the smaller operand, the other one where one is NaN, and -0
// before +0.
func minNum(a, b uint32) uint32 {
	switch {
	case isNaN32(a):
		if isNaN32(b) {
			return a | quietBit32
		}
		return b
	case isNaN32(b):
		return a
	}
	return math.Float32bits(min(math.Float32frombits(a), math.Float32frombits(b)))
}

// maxNum is the counterpart of minNum.
func maxNum(a, b uint32) uint32 {
	switch {
	case isNaN32(a):
		if isNaN32(b) {
			return a | quietBit32
		}
		return b
	case isNaN32(b):
		return a
	}
	return math.Float32bits(max(math.Float32frombits(a), math.Float32frombits(b)))
}

// ieeeOps are the minima and maxima of GFX11 in IEEE mode, where a signalling NaN
// comes out quiet instead of giving way to the other operand.
var ieeeOps = map[string]func(d, a, b *vec){
	"v_min_f32": func(d, a, b *vec) { ieeeLanes(d, a, b, minNum) },
	"v_max_f32": func(d, a, b *vec) { ieeeLanes(d, a, b, maxNum) },
}

func ieeeLanes(d, a, b *vec, f func(a, b uint32) uint32) {
	for i, x := range a {
		switch y := b[i]; {
		case isSNaN32(x):
			d[i] = x | quietBit32
		case isSNaN32(y):
			d[i] = y | quietBit32
		default:
			d[i] = f(x, y)
		}
	}
}

// minimum propagates NaN.
func minimum(a, b uint32) uint32 {
	switch {
	case isNaN32(a):
		return a | quietBit32
	case isNaN32(b):
		return b | quietBit32
	}
	return minNum(a, b)
}

// maximum propagates NaN.
func maximum(a, b uint32) uint32 {
	switch {
	case isNaN32(a):
		return a | quietBit32
	case isNaN32(b):
		return b | quietBit32
	}
	return maxNum(a, b)
}

// med3Num is the median; with a NaN it is the minimum of the three.
func med3Num(a, b, c uint32) uint32 {
	if isNaN32(a) || isNaN32(b) || isNaN32(c) {
		return minNum(minNum(a, b), c)
	}
	return maxNum(minNum(a, b), minNum(maxNum(a, b), c))
}

func viaF64(u uint32, f func(float64) float64) uint32 {
	if isNaN32(u) {
		return u | quietBit32
	}
	return math.Float32bits(float32(f(float64(math.Float32frombits(u)))))
}

// fract32 is x - floor(x), at most the largest float below 1.
func fract32(u uint32) uint32 {
	x := math.Float32frombits(u)
	if x != x || math.IsInf(float64(x), 0) {
		return nan32
	}
	r := x - float32(math.Floor(float64(x)))
	return math.Float32bits(min(r, math.Float32frombits(0x3f7fffff)))
}

func frexpMant32(u uint32) uint32 {
	x := float64(math.Float32frombits(u))
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return u
	}
	m, _ := math.Frexp(x)
	return math.Float32bits(float32(m))
}

func frexpExp32(u uint32) uint32 {
	x := float64(math.Float32frombits(u))
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return 0
	}
	_, e := math.Frexp(x)
	return uint32(int32(e))
}

// normI16 maps -1..1 to a signed 16-bit integer.
func normI16(x float64) uint32 {
	if x != x {
		return 0
	}
	return uint32(uint16(int16(rndne64(math.Max(-1, math.Min(x, 1)) * 32767))))
}

// normU16 maps 0..1 to an unsigned 16-bit integer.
func normU16(x float64) uint32 {
	if x != x {
		return 0
	}
	return uint32(uint16(rndne64(math.Max(0, math.Min(x, 1)) * 65535)))
}

// fp8ToF32 converts OCP E4M3: no infinities, NaN is all ones.
func fp8ToF32(x uint8) float32 {
	e, m := int(x>>3&15), float64(x&7)
	v := math.Ldexp(m, -9)
	switch {
	case x&0x7f == 0x7f:
		v = math.NaN()
	case e != 0:
		v = math.Ldexp(8+m, e-10)
	}
	return float32(math.Copysign(v, -float64(x>>7)+0.5))
}

// bf8ToF32 converts OCP E5M2, which is the upper byte of binary16.
func bf8ToF32(x uint8) float32 { return f16Table[uint16(x)<<8] }
