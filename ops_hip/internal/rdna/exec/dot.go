package exec

import "math"

// packed lists the VOP3P operations that apply a 16-bit operation to both halves.
var packed = map[string]string{
	"v_pk_mad_i16": "v_mad_i16", "v_pk_mad_u16": "v_mad_u16", "v_pk_mul_lo_u16": "v_mul_lo_u16",
	"v_pk_add_i16": "v_add_nc_i16", "v_pk_sub_i16": "v_sub_nc_i16", "v_pk_add_u16": "v_add_nc_u16",
	"v_pk_sub_u16":     "v_sub_nc_u16",
	"v_pk_lshlrev_b16": "v_lshlrev_b16", "v_pk_lshrrev_b16": "v_lshrrev_b16", "v_pk_ashrrev_i16": "v_ashrrev_i16",
	"v_pk_max_i16": "v_max_i16", "v_pk_min_i16": "v_min_i16", "v_pk_max_u16": "v_max_u16", "v_pk_min_u16": "v_min_u16",
	"v_pk_fma_f16": "v_fma_f16", "v_pk_add_f16": "v_add_f16", "v_pk_mul_f16": "v_mul_f16",
	"v_pk_min_f16": "v_min_f16", "v_pk_max_f16": "v_max_f16", "v_pk_min_num_f16": "v_min_f16",
	"v_pk_max_num_f16": "v_max_f16",
	"v_pk_minimum_f16": "v_minimum_f16", "v_pk_maximum_f16": "v_maximum_f16",
}

// intDot describes an integer dot product of packed fields.
type intDot struct {
	bits   uint
	signed bool // neg_lo says for each of the two factors whether it is signed
}

var intDots = map[string]intDot{
	"v_dot4_i32_iu8": {8, true}, "v_dot8_i32_iu4": {4, true}, "v_dot4_u32_u8": {8, false}, "v_dot8_u32_u4": {4, false},
}

// dot4 sums products of four bytes; sa and sb say which factors are signed.
func dot4(d, a, b, c *vec, sa, sb bool) {
	switch {
	case sa && sb:
		for i := range d {
			x, y := a[i], b[i]
			d[i] = c[i] + uint32(int32(int8(x))*int32(int8(y))+int32(int8(x>>8))*int32(int8(y>>8))+
				int32(int8(x>>16))*int32(int8(y>>16))+int32(int8(x>>24))*int32(int8(y>>24)))
		}
	case sb:
		for i := range d {
			x, y := a[i], b[i]
			d[i] = c[i] + uint32(int32(uint8(x))*int32(int8(y))+int32(uint8(x>>8))*int32(int8(y>>8))+
				int32(uint8(x>>16))*int32(int8(y>>16))+int32(uint8(x>>24))*int32(int8(y>>24)))
		}
	default:
		for i := range d {
			d[i] = c[i] + uint32(dotFields(a[i], b[i], 8, sa, sb))
		}
	}
}

// dotFields sums the products of all fields of a and b.
func dotFields(a, b uint32, width uint, sa, sb bool) (r int64) {
	for s := uint(0); s < 32; s += width {
		r += field(a>>s, width, sa) * field(b>>s, width, sb)
	}
	return r
}

// field sign- or zero-extends the low bits of x.
func field(x uint32, width uint, signed bool) int64 {
	if signed {
		return int64(int32(x<<(32-width)) >> (32 - width))
	}
	return int64(x & (1<<width - 1))
}

// dotClamp saturates a dot product: signed forms to int32, unsigned to uint32.
func dotClamp(d, a, b, c *vec, k intDot, sa, sb bool) {
	for i := range d {
		p := dotFields(a[i], b[i], k.bits, sa, sb)
		if k.signed {
			d[i] = uint32(max(math.MinInt32, min(p+int64(int32(c[i])), math.MaxInt32)))
		} else {
			d[i] = uint32(min(p+int64(c[i]), math.MaxUint32))
		}
	}
}

// dot2 sums two products onto c with conv turning halves into f32. Products are
// exact or rounded by the multiply-add itself.
func dot2(d, a, b, c *vec, conv func(uint16) float32) {
	for i := range d {
		s := math.Float32frombits(c[i])
		s = fma32(conv(uint16(a[i])), conv(uint16(b[i])), s)
		s = fma32(conv(uint16(a[i]>>16)), conv(uint16(b[i]>>16)), s)
		d[i] = math.Float32bits(s)
	}
}

func halfToF32(h uint16) float32 { return f16Table[h] }
