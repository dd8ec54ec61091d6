package simd

import "encoding/binary"

// Conversion is a weight type without minimum whose blocks are blocks of a format in another form: those of 32 with
// codes of at most 8 bits of Q8_0, and those of 256 of Codes.
type Conversion uint8

// The types, named as in tensor/quant.
const (
	Q4_0 Conversion = iota
	Q5_0
	IQ4_NL
	MXFP4
	Q3_K
	IQ4_XS
	IQ3_S
	IQ3_XXS
	IQ2_S
	IQ2_XS
	IQ2_XXS
	IQ1_M
	IQ1_S
	TQ2_0
	TQ1_0
)

// conversions holds the bytes of a block and the format that it becomes one of.
var conversions = [...]struct {
	bytes int
	to    Format
}{Q4_0: {18, Q8_0}, Q5_0: {22, Q8_0}, IQ4_NL: {18, Q8_0}, MXFP4: {17, Q8_0}, Q3_K: {110, Codes}, IQ4_XS: {136, Codes},
	IQ3_S: {110, Codes}, IQ3_XXS: {98, Codes}, IQ2_S: {82, Codes}, IQ2_XS: {74, Codes}, IQ2_XXS: {66, Codes},
	IQ1_M: {56, Codes}, IQ1_S: {50, Codes}, TQ2_0: {66, Codes}, TQ1_0: {54, Codes}}

// Format returns the format that blocks of c become blocks of.
func (c Conversion) Format() Format { return conversions[c].to }

// iq4Values are the values of IQ4_NL's codes, fp4Values twice those of MXFP4's.
var (
	iq4Values = [16]int8{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}
	fp4Values = [16]int8{0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12}
)

// Convert writes the blocks of src, a row, as blocks of c.Format(), which hold the same numbers. It reports false if
// they cannot: scales of MXFP4 have a wider range than float16.
func (c Conversion) Convert(dst, src []byte) bool {
	from, to := conversions[c].bytes, layouts[c.Format()].bytes
	n := len(src) / from
	if n == 0 || len(dst) < to*n {
		panic("simd: wrong sizes to convert")
	}
	if !asmConvert(c, &dst[0], &src[0], n) {
		for b := range n {
			c.convertBlock(dst[to*b:][:to], src[from*b:][:from])
		}
	}
	if c != MXFP4 {
		return true
	}
	fits := true
	for b := range n {
		d, ok := halfExponent(src[17*b])
		fits = fits && ok
		binary.LittleEndian.PutUint16(dst[34*b:], d)
	}
	return fits
}

// halfExponent returns 2^(e-128), half the scale of a block of MXFP4, as float16, and whether it has that number.
func halfExponent(e byte) (h uint16, ok bool) {
	switch n := int(e) - 128; {
	case n >= -14:
		return uint16(n+15) << 10, n <= 15
	case n >= -24:
		return 1 << (n + 24), true
	}
	return 0, false
}

// convertBlock is the definition of Convert for one block, but for the scale of MXFP4.
func (c Conversion) convertBlock(dst, src []byte) {
	if c.Format() == Codes {
		c.convertCodes(dst, src)
		return
	}
	copy(dst, src[:2])
	qs := src[len(src)-16:]
	for i := range 32 {
		q := qs[i%16] >> (4 * (i / 16)) & 15
		var v int8
		switch c {
		case Q4_0:
			v = int8(q) - 8
		case Q5_0:
			v = int8(q|src[2+i/8]>>(i%8)&1<<4) - 16
		case IQ4_NL:
			v = iq4Values[q]
		case MXFP4:
			v = fp4Values[q]
		}
		dst[2+i] = byte(v)
	}
}
