package exec

import (
	"math"
	"math/bits"
)

// intOps are the 32-bit integer and bit operations.
var intOps = map[string]vop{
	"v_mov_b32": {k1: func(d, a *vec) { *d = *a }},
	"v_not_b32": {k1: func(d, a *vec) {
		for i, x := range a {
			d[i] = ^x
		}
	}},
	"v_bfrev_b32": {k1: func(d, a *vec) {
		for i, x := range a {
			d[i] = reverse32(x)
		}
	}},
	"v_clz_i32_u32": {k1: func(d, a *vec) {
		for i, x := range a {
			d[i] = clz32(x)
		}
	}},
	"v_ctz_i32_b32": {k1: func(d, a *vec) {
		for i, x := range a {
			d[i] = ctz32(x)
		}
	}},
	"v_cls_i32": {k1: func(d, a *vec) {
		for i, x := range a {
			d[i] = cls32(x)
		}
	}},
	"v_cvt_off_f32_i4": {k1: func(d, a *vec) {
		for i, x := range a {
			d[i] = math.Float32bits(float32(int32(x<<28)>>28) / 16)
		}
	}},
	"v_sat_pk_u8_i16": {k1: func(d, a *vec) {
		for i, x := range a {
			d[i] = uint32(clampInt(int32(int16(x)), 0, 255)) | uint32(clampInt(int32(x)>>16, 0, 255))<<8
		}
	}},
	"v_and_b32": {k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = a[i] & b[i]
		}
	}},
	"v_or_b32": {k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = a[i] | b[i]
		}
	}},
	"v_xor_b32": {k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = a[i] ^ b[i]
		}
	}},
	"v_xnor_b32": {k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = ^(a[i] ^ b[i])
		}
	}},
	"v_lshlrev_b32": {k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = b[i] << (a[i] & 31)
		}
	}},
	"v_lshrrev_b32": {k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = b[i] >> (a[i] & 31)
		}
	}},
	"v_ashrrev_i32": {k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = uint32(int32(b[i]) >> (a[i] & 31))
		}
	}},
	"v_add_nc_u32": {k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = a[i] + b[i]
		}
	}, clampI: addSatU32},
	"v_sub_nc_u32": {k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = a[i] - b[i]
		}
	}, clampI: subSatU32},
	"v_subrev_nc_u32": {k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = b[i] - a[i]
		}
	}},
	"v_add_nc_i32": {k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = a[i] + b[i]
		}
	}, clampI: addSatI32},
	"v_sub_nc_i32": {k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = a[i] - b[i]
		}
	}, clampI: subSatI32},
	"v_min_u32": {k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = min(a[i], b[i])
		}
	}},
	"v_max_u32": {k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = max(a[i], b[i])
		}
	}},
	"v_min_i32": {k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = uint32(min(int32(a[i]), int32(b[i])))
		}
	}},
	"v_max_i32": {k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = uint32(max(int32(a[i]), int32(b[i])))
		}
	}},
	"v_mul_lo_u32": {k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = a[i] * b[i]
		}
	}},
	"v_mul_hi_u32": {k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = uint32(uint64(a[i]) * uint64(b[i]) >> 32)
		}
	}},
	"v_mul_hi_i32": {k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = uint32(int64(int32(a[i])) * int64(int32(b[i])) >> 32)
		}
	}},
	"v_mul_u32_u24": {k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = (a[i] & 0xffffff) * (b[i] & 0xffffff)
		}
	}},
	"v_mul_hi_u32_u24": {k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = uint32(uint64(a[i]&0xffffff) * uint64(b[i]&0xffffff) >> 32)
		}
	}},
	"v_mul_i32_i24": {k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = uint32(sext24(a[i]) * sext24(b[i]))
		}
	}},
	"v_mul_hi_i32_i24": {k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = uint32(int64(sext24(a[i])) * int64(sext24(b[i])) >> 32)
		}
	}},
	"v_bfm_b32": {k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = (1<<(a[i]&31) - 1) << (b[i] & 31)
		}
	}},
	"v_bcnt_u32_b32": {k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = uint32(bits.OnesCount32(a[i])) + b[i]
		}
	}},
	"v_cvt_pk_u16_u32": {k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = min(a[i], 0xffff) | min(b[i], 0xffff)<<16
		}
	}},
	"v_cvt_pk_i16_i32": {k2: func(d, a, b *vec) {
		for i := range d {
			d[i] = uint32(uint16(clampInt(int32(a[i]), -32768, 32767))) | uint32(clampInt(int32(b[i]), -32768,
				32767))<<16
		}
	}},
	"v_bfe_u32": {k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = uint32(bfeU(uint64(a[i]), b[i]&31, c[i]&31, 32))
		}
	}},
	"v_bfe_i32": {k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = uint32(bfeI(uint64(a[i]), b[i]&31, c[i]&31, 32))
		}
	}},
	"v_bfi_b32": {k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = a[i]&b[i] | ^a[i]&c[i]
		}
	}},
	"v_mad_u32_u24": {k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = (a[i]&0xffffff)*(b[i]&0xffffff) + c[i]
		}
	}},
	"v_mad_i32_i24": {k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = uint32(sext24(a[i])*sext24(b[i])) + c[i]
		}
	}},
	"v_alignbit_b32": {k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = uint32((uint64(a[i])<<32 | uint64(b[i])) >> (c[i] & 31))
		}
	}},
	"v_alignbyte_b32": {k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = uint32((uint64(a[i])<<32 | uint64(b[i])) >> (8 * (c[i] & 3)))
		}
	}},
	"v_min3_i32": {k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = uint32(min(int32(a[i]), int32(b[i]), int32(c[i])))
		}
	}},
	"v_max3_i32": {k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = uint32(max(int32(a[i]), int32(b[i]), int32(c[i])))
		}
	}},
	"v_min3_u32": {k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = min(a[i], b[i], c[i])
		}
	}},
	"v_max3_u32": {k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = max(a[i], b[i], c[i])
		}
	}},
	"v_med3_i32": {k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = uint32(med3(int32(a[i]), int32(b[i]), int32(c[i])))
		}
	}},
	"v_med3_u32": {k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = med3(a[i], b[i], c[i])
		}
	}},
	"v_sad_u8": {k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = sadU8(a[i], b[i]) + c[i]
		}
	}},
	"v_sad_hi_u8": {k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = sadU8(a[i], b[i])<<16 + c[i]
		}
	}},
	"v_sad_u16": {k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = absDiff(a[i]&0xffff, b[i]&0xffff) + absDiff(a[i]>>16, b[i]>>16) + c[i]
		}
	}},
	"v_sad_u32": {k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = absDiff(a[i], b[i]) + c[i]
		}
	}},
	"v_xor3_b32": {k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = a[i] ^ b[i] ^ c[i]
		}
	}},
	"v_perm_b32": {k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = permBytes(a[i], b[i], c[i])
		}
	}},
	"v_xad_u32": {k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = (a[i] ^ b[i]) + c[i]
		}
	}},
	"v_lshl_add_u32": {k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = a[i]<<(b[i]&31) + c[i]
		}
	}},
	"v_add_lshl_u32": {k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = (a[i] + b[i]) << (c[i] & 31)
		}
	}},
	"v_add3_u32": {k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = a[i] + b[i] + c[i]
		}
	}},
	"v_lshl_or_b32": {k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = a[i]<<(b[i]&31) | c[i]
		}
	}},
	"v_and_or_b32": {k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = a[i]&b[i] | c[i]
		}
	}},
	"v_or3_b32": {k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = a[i] | b[i] | c[i]
		}
	}},
	"v_maxmin_u32": {k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = min(max(a[i], b[i]), c[i])
		}
	}},
	"v_minmax_u32": {k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = max(min(a[i], b[i]), c[i])
		}
	}},
	"v_maxmin_i32": {k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = uint32(min(max(int32(a[i]), int32(b[i])), int32(c[i])))
		}
	}},
	"v_minmax_i32": {k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = uint32(max(min(int32(a[i]), int32(b[i])), int32(c[i])))
		}
	}},
	"v_lerp_u8": {k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = lerpU8(a[i], b[i], c[i])
		}
	}},
	"v_msad_u8": {k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = msadU8(a[i], b[i]) + c[i]
		}
	}},
	"v_mad_u32_u16": {src16: 3, k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = uint32(uint16(a[i]))*uint32(uint16(b[i])) + c[i]
		}
	}},
	"v_mad_i32_i16": {src16: 3, k3: func(d, a, b, c *vec) {
		for i := range d {
			d[i] = uint32(int32(int16(a[i]))*int32(int16(b[i]))) + c[i]
		}
	}},
}

func sext24(x uint32) int32 { return int32(x<<8) >> 8 }

func clampInt(x, lo, hi int32) int32 { return max(lo, min(x, hi)) }

func med3[T int32 | uint32 | float32](a, b, c T) T { return max(min(a, b), min(max(a, b), c)) }

func absDiff(a, b uint32) uint32 { return max(a, b) - min(a, b) }

// sadU8 sums the absolute differences of the four bytes.
func sadU8(a, b uint32) (r uint32) {
	for s := 0; s < 32; s += 8 {
		r += absDiff(a>>s&255, b>>s&255)
	}
	return r
}

// msadU8 is sadU8 over the bytes whose reference (b) is not zero.
func msadU8(a, b uint32) (r uint32) {
	for s := 0; s < 32; s += 8 {
		if b>>s&255 != 0 {
			r += absDiff(a>>s&255, b>>s&255)
		}
	}
	return r
}

// lerpU8 averages bytes; the low bit of each byte of c rounds.
func lerpU8(a, b, c uint32) (r uint32) {
	for s := 0; s < 32; s += 8 {
		r |= (a>>s&255 + b>>s&255 + c>>s&1) >> 1 << s
	}
	return r
}

// permBytes selects four of the eight bytes a:b (b is low), or constants.
func permBytes(a, b, sel uint32) (r uint32) {
	both := uint64(a)<<32 | uint64(b)
	for i := 0; i < 32; i += 8 {
		var x uint64
		switch s := sel >> i & 255; {
		case s >= 13:
			x = 0xff
		case s == 12:
			x = 0
		case s >= 8: // sign of byte 1, 3, 5 or 7
			x = 0xff * (both >> (16*(s-8) + 15) & 1)
		default:
			x = both >> (8 * s) & 255
		}
		r |= uint32(x) << i
	}
	return r
}

func addSatU32(d, a, b *vec) {
	for i := range d {
		s, c := bits.Add32(a[i], b[i], 0)
		d[i] = s | -c
	}
}

func subSatU32(d, a, b *vec) {
	for i := range d {
		d[i] = max(a[i], b[i]) - b[i]
	}
}

func addSatI32(d, a, b *vec) {
	for i := range d {
		d[i] = uint32(max(math.MinInt32, min(int64(int32(a[i]))+int64(int32(b[i])), math.MaxInt32)))
	}
}

func subSatI32(d, a, b *vec) {
	for i := range d {
		d[i] = uint32(max(math.MinInt32, min(int64(int32(a[i]))-int64(int32(b[i])), math.MaxInt32)))
	}
}
