package exec

import "math"

// halfOps are the f16 and 16-bit integer operations. Sources are read from the
// low half of their registers; results are zero-extended.
var halfOps = map[string]vop{
	"v_add_f16": {src16: 3, dst16: true, k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = uint32(f32ToF16(f16Table[uint16(a[i])] + f16Table[uint16(b[i])]))
		}
	}},
	"v_sub_f16": {src16: 3, dst16: true, k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = uint32(f32ToF16(f16Table[uint16(a[i])] - f16Table[uint16(b[i])]))
		}
	}},
	"v_mul_f16": {src16: 3, dst16: true, k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = uint32(f32ToF16(f16Table[uint16(a[i])] * f16Table[uint16(b[i])]))
		}
	}},
	"v_subrev_f16": {src16: 3, dst16: true, k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = uint32(f32ToF16(f16Table[uint16(b[i])] - f16Table[uint16(a[i])]))
		}
	}},
	"v_min_f16": {src16: 3, dst16: true, k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = via32(minNum, a[i], b[i])
		}
	}},
	"v_min3_f16": {src16: 7, dst16: true, k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = via32(minNum, via32(minNum, a[i], b[i]), c[i])
		}
	}},
	"v_max_f16": {src16: 3, dst16: true, k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = via32(maxNum, a[i], b[i])
		}
	}},
	"v_max3_f16": {src16: 7, dst16: true, k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = via32(maxNum, via32(maxNum, a[i], b[i]), c[i])
		}
	}},
	"v_med3_f16": {src16: 7, dst16: true, k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = med3Half(a[i], b[i], c[i])
		}
	}},
	"v_minmax_f16": {src16: 7, dst16: true, k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = via32(maxNum, via32(minNum, a[i], b[i]), c[i])
		}
	}},
	"v_maxmin_f16": {src16: 7, dst16: true, k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = via32(minNum, via32(maxNum, a[i], b[i]), c[i])
		}
	}},
	"v_min_num_f16": {src16: 3, dst16: true, k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = via32(minNum, a[i], b[i])
		}
	}},
	"v_min3_num_f16": {src16: 7, dst16: true, k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = via32(minNum, via32(minNum, a[i], b[i]), c[i])
		}
	}},
	"v_max_num_f16": {src16: 3, dst16: true, k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = via32(maxNum, a[i], b[i])
		}
	}},
	"v_max3_num_f16": {src16: 7, dst16: true, k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = via32(maxNum, via32(maxNum, a[i], b[i]), c[i])
		}
	}},
	"v_med3_num_f16": {src16: 7, dst16: true, k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = med3Half(a[i], b[i], c[i])
		}
	}},
	"v_minmax_num_f16": {src16: 7, dst16: true, k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = via32(maxNum, via32(minNum, a[i], b[i]), c[i])
		}
	}},
	"v_maxmin_num_f16": {src16: 7, dst16: true, k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = via32(minNum, via32(maxNum, a[i], b[i]), c[i])
		}
	}},
	"v_minimum_f16": {src16: 3, dst16: true, k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = via32(minimum, a[i], b[i])
		}
	}},
	"v_minimum3_f16": {src16: 7, dst16: true, k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = via32(minimum, via32(minimum, a[i], b[i]), c[i])
		}
	}},
	"v_maximum_f16": {src16: 3, dst16: true, k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = via32(maximum, a[i], b[i])
		}
	}},
	"v_maximum3_f16": {src16: 7, dst16: true, k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = via32(maximum, via32(maximum, a[i], b[i]), c[i])
		}
	}},
	"v_minimummaximum_f16": {src16: 7, dst16: true, k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = via32(maximum, via32(minimum, a[i], b[i]), c[i])
		}
	}},
	"v_maximumminimum_f16": {src16: 7, dst16: true, k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = via32(minimum, via32(maximum, a[i], b[i]), c[i])
		}
	}},
	"v_fma_f16":   {src16: 7, dst16: true, k3: fmaHalf},
	"v_fmac_f16":  {src16: 7, dst16: true, acc: true, k3: fmaHalf},
	"v_fmaak_f16": {src16: 7, dst16: true, k3: fmaHalf},
	"v_fmamk_f16": {src16: 7, dst16: true, k3: fmaHalf},
	"v_ldexp_f16": {src16: 3, dst16: true, k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = uint32(f64ToF16(math.Ldexp(float64(f16Table[uint16(a[i])]), int(int16(b[i])))))
		}
	}},
	"v_div_fixup_f16": {src16: 7, dst16: true, k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = divFixup16(a[i], b[i], c[i])
		}
	}},
	"v_exp_f16": {src16: 1, dst16: true, k1: func(d, a *vec) {
		for i, x := range a {
			d[i] = uint32(f64ToF16(math.Exp2(float64(f16Table[uint16(x)]))))
		}
	}},
	"v_log_f16": {src16: 1, dst16: true, k1: func(d, a *vec) {
		for i, x := range a {
			d[i] = uint32(f64ToF16(log2(float64(f16Table[uint16(x)]))))
		}
	}},
	"v_rcp_f16": {src16: 1, dst16: true, k1: func(d, a *vec) {
		for i, x := range a {
			d[i] = uint32(f64ToF16(rcp(float64(f16Table[uint16(x)]))))
		}
	}},
	"v_rsq_f16": {src16: 1, dst16: true, k1: func(d, a *vec) {
		for i, x := range a {
			d[i] = uint32(f64ToF16(rsq(float64(f16Table[uint16(x)]))))
		}
	}},
	"v_sqrt_f16": {src16: 1, dst16: true, k1: func(d, a *vec) {
		for i, x := range a {
			d[i] = uint32(f64ToF16(math.Sqrt(float64(f16Table[uint16(x)]))))
		}
	}},
	"v_sin_f16": {src16: 1, dst16: true, k1: func(d, a *vec) {
		for i, x := range a {
			d[i] = uint32(f64ToF16(sinTurns(float64(f16Table[uint16(x)]))))
		}
	}},
	"v_cos_f16": {src16: 1, dst16: true, k1: func(d, a *vec) {
		for i, x := range a {
			d[i] = uint32(f64ToF16(cosTurns(float64(f16Table[uint16(x)]))))
		}
	}},
	"v_trunc_f16": {src16: 1, dst16: true, k1: func(d, a *vec) {
		for i, x := range a {
			d[i] = uint32(f64ToF16(math.Trunc(float64(f16Table[uint16(x)]))))
		}
	}},
	"v_ceil_f16": {src16: 1, dst16: true, k1: func(d, a *vec) {
		for i, x := range a {
			d[i] = uint32(f64ToF16(math.Ceil(float64(f16Table[uint16(x)]))))
		}
	}},
	"v_floor_f16": {src16: 1, dst16: true, k1: func(d, a *vec) {
		for i, x := range a {
			d[i] = uint32(f64ToF16(math.Floor(float64(f16Table[uint16(x)]))))
		}
	}},
	"v_rndne_f16": {src16: 1, dst16: true, k1: func(d, a *vec) {
		for i, x := range a {
			d[i] = uint32(f64ToF16(rndne64(float64(f16Table[uint16(x)]))))
		}
	}},
	"v_fract_f16": {src16: 1, dst16: true, k1: func(d, a *vec) {
		for i, x := range a {
			d[i] = uint32(f64ToF16(fract16(float64(f16Table[uint16(x)]))))
		}
	}},
	"v_frexp_mant_f16": {src16: 1, dst16: true, k1: func(d, a *vec) {
		for i, x := range a {
			d[i] = uint32(f32ToF16(math.Float32frombits(frexpMant32(math.Float32bits(f16Table[uint16(x)])))))
		}
	}},
	"v_frexp_exp_i16_f16": {src16: 1, dst16: true, k1: func(d, a *vec) {
		for i, x := range a {
			d[i] = uint32(uint16(frexpExp32(math.Float32bits(f16Table[uint16(x)]))))
		}
	}},
	"v_cvt_f16_u16": {src16: 1, dst16: true, k1: func(d, a *vec) {
		for i, x := range a {
			d[i] = uint32(f32ToF16(float32(uint16(x))))
		}
	}},
	"v_cvt_f16_i16": {src16: 1, dst16: true, k1: func(d, a *vec) {
		for i, x := range a {
			d[i] = uint32(f32ToF16(float32(int16(x))))
		}
	}},
	"v_cvt_u16_f16": {src16: 1, dst16: true, k1: func(d, a *vec) {
		for i, x := range a {
			d[i] = min(satU32(float64(f16Table[uint16(x)])), 0xffff)
		}
	}},
	"v_cvt_i16_f16": {src16: 1, dst16: true, k1: func(d, a *vec) {
		for i, x := range a {
			d[i] = uint32(uint16(clampInt(int32(satI32(float64(f16Table[uint16(x)]))), -32768, 32767)))
		}
	}},
	"v_cvt_norm_i16_f16": {src16: 1, dst16: true, k1: func(d, a *vec) {
		for i, x := range a {
			d[i] = normI16(float64(f16Table[uint16(x)]))
		}
	}},
	"v_cvt_norm_u16_f16": {src16: 1, dst16: true, k1: func(d, a *vec) {
		for i, x := range a {
			d[i] = normU16(float64(f16Table[uint16(x)]))
		}
	}},
	"v_not_b16": {src16: 1, dst16: true, k1: func(d, a *vec) {
		for i, x := range a {
			d[i] = uint32(uint16(^x))
		}
	}},
	"v_cvt_i32_i16": {src16: 1, k1: func(d, a *vec) {
		for i, x := range a {
			d[i] = uint32(int32(int16(x)))
		}
	}},
	"v_cvt_u32_u16": {src16: 1, k1: func(d, a *vec) {
		for i, x := range a {
			d[i] = uint32(uint16(x))
		}
	}},
	"v_pack_b32_f16": {src16: 3, k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = a[i]&0xffff | b[i]<<16
		}
	}},
	"v_cvt_pk_norm_i16_f16": {src16: 3, k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = normI16(float64(f16Table[uint16(a[i])])) | normI16(float64(f16Table[uint16(b[i])]))<<16
		}
	}},
	"v_cvt_pk_norm_u16_f16": {src16: 3, k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = normU16(float64(f16Table[uint16(a[i])])) | normU16(float64(f16Table[uint16(b[i])]))<<16
		}
	}},
	"v_add_nc_u16": {src16: 3, dst16: true, clampI: addSatU16, k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = uint32(uint16(a[i] + b[i]))
		}
	}},
	"v_sub_nc_u16": {src16: 3, dst16: true, clampI: subSatU16, k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = uint32(uint16(a[i] - b[i]))
		}
	}},
	"v_add_nc_i16": {src16: 3, dst16: true, clampI: addSatI16, k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = uint32(uint16(a[i] + b[i]))
		}
	}},
	"v_sub_nc_i16": {src16: 3, dst16: true, clampI: subSatI16, k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = uint32(uint16(a[i] - b[i]))
		}
	}},
	"v_mul_lo_u16": {src16: 3, dst16: true, k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = uint32(uint16(a[i] * b[i]))
		}
	}},
	"v_and_b16": {src16: 3, dst16: true, k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = uint32(uint16(a[i] & b[i]))
		}
	}},
	"v_or_b16": {src16: 3, dst16: true, k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = uint32(uint16(a[i] | b[i]))
		}
	}},
	"v_xor_b16": {src16: 3, dst16: true, k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = uint32(uint16(a[i] ^ b[i]))
		}
	}},
	"v_lshlrev_b16": {src16: 3, dst16: true, k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = uint32(uint16(b[i] << (a[i] & 15)))
		}
	}},
	"v_lshrrev_b16": {src16: 3, dst16: true, k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = uint32(uint16(uint16(b[i]) >> (a[i] & 15)))
		}
	}},
	"v_ashrrev_i16": {src16: 3, dst16: true, k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = uint32(uint16(int16(b[i]) >> (a[i] & 15)))
		}
	}},
	"v_min_u16": {src16: 3, dst16: true, k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = uint32(uint16(min(uint16(a[i]), uint16(b[i]))))
		}
	}},
	"v_max_u16": {src16: 3, dst16: true, k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = uint32(uint16(max(uint16(a[i]), uint16(b[i]))))
		}
	}},
	"v_min_i16": {src16: 3, dst16: true, k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = uint32(uint16(min(int16(a[i]), int16(b[i]))))
		}
	}},
	"v_max_i16": {src16: 3, dst16: true, k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = uint32(uint16(max(int16(a[i]), int16(b[i]))))
		}
	}},
	"v_mad_u16": {src16: 7, dst16: true, k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = uint32(uint16(a[i]*b[i] + c[i]))
		}
	}},
	"v_mad_i16": {src16: 7, dst16: true, k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = uint32(uint16(a[i]*b[i] + c[i]))
		}
	}},
	"v_min3_i16": {src16: 7, dst16: true, k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = uint32(uint16(min(int16(a[i]), int16(b[i]), int16(c[i]))))
		}
	}},
	"v_max3_i16": {src16: 7, dst16: true, k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = uint32(uint16(max(int16(a[i]), int16(b[i]), int16(c[i]))))
		}
	}},
	"v_min3_u16": {src16: 7, dst16: true, k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = uint32(uint16(min(uint16(a[i]), uint16(b[i]), uint16(c[i]))))
		}
	}},
	"v_max3_u16": {src16: 7, dst16: true, k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = uint32(uint16(max(uint16(a[i]), uint16(b[i]), uint16(c[i]))))
		}
	}},
	"v_med3_i16": {src16: 7, dst16: true, k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = uint32(uint16(med3(int32(int16(a[i])), int32(int16(b[i])), int32(int16(c[i])))))
		}
	}},
	"v_med3_u16": {src16: 7, dst16: true, k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = uint32(uint16(med3(a[i]&0xffff, b[i]&0xffff, c[i]&0xffff)))
		}
	}},
}

func fmaHalf(d, a, b, c *vec) {
	for i := range d {
		d[i] = uint32(fma16(f16Table[uint16(a[i])], f16Table[uint16(b[i])], f16Table[uint16(c[i])]))
	}
}

// via32 runs an exact f32 operation, such as a minimum, on f16 operands.
func via32(f func(a, b uint32) uint32, a, b uint32) uint32 {
	return uint32(f32ToF16(math.Float32frombits(f(math.Float32bits(f16Table[uint16(a)]),
		math.Float32bits(f16Table[uint16(b)])))))
}

func med3Half(a, b, c uint32) uint32 {
	r := med3Num(math.Float32bits(f16Table[uint16(a)]), math.Float32bits(f16Table[uint16(b)]),
		math.Float32bits(f16Table[uint16(c)]))
	return uint32(f32ToF16(math.Float32frombits(r)))
}

// fract16 is x - floor(x), at most the largest binary16 below 1.
func fract16(x float64) float64 { return math.Min(x-math.Floor(x), 1-1.0/2048) }

func addSatU16(d, a, b *vec) {
	for i := range d {
		d[i] = min(a[i]&0xffff+b[i]&0xffff, 0xffff)
	}
}

func subSatU16(d, a, b *vec) {
	for i := range d {
		d[i] = max(a[i]&0xffff, b[i]&0xffff) - b[i]&0xffff
	}
}

func addSatI16(d, a, b *vec) {
	for i := range d {
		d[i] = uint32(uint16(clampInt(int32(int16(a[i]))+int32(int16(b[i])), -32768, 32767)))
	}
}

func subSatI16(d, a, b *vec) {
	for i := range d {
		d[i] = uint32(uint16(clampInt(int32(int16(a[i]))-int32(int16(b[i])), -32768, 32767)))
	}
}
