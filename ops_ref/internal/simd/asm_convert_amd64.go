//go:build amd64 && !noasm

package simd

// gridConverts are the conversions of types with a grid.
var gridConverts = [...]func(dst, src *byte, blocks int, words *uint16, values *byte){
	IQ3_S:   convertIQ3SAVX512,
	IQ3_XXS: convertIQ3XXSAVX512,
	IQ2_S:   convertIQ2SAVX512,
	IQ2_XS:  convertIQ2XSAVX512,
	IQ2_XXS: convertIQ2XXSAVX512,
	IQ1_M:   convertIQ1MAVX512,
	IQ1_S:   convertIQ1SAVX512,
}

// asmConvertCodes converts blocks to Codes and reports whether it did. The level is not Generic.
func asmConvertCodes(c Conversion, dst, src *byte, blocks int) bool {
	switch {
	case level == AVX512 && int(c) < len(gridConverts) && gridConverts[c] != nil:
		g := c.grid()
		gridConverts[c](dst, src, blocks, &g.words[0], &g.values[0])
	case c == IQ3_S:
		convertIQ3SAVX2(dst, src, blocks, &c.grid().points[0])
	case c == Q3_K && level == AVX512:
		convertQ3KAVX512(dst, src, blocks)
	case c == Q3_K:
		convertQ3KAVX2(dst, src, blocks)
	case c == IQ4_XS && level == AVX512:
		convertIQ4XSAVX512(dst, src, blocks)
	case c == IQ4_XS:
		convertIQ4XSAVX2(dst, src, blocks)
	case c == TQ2_0 && level == AVX512:
		convertTQ2_0AVX512(dst, src, blocks)
	case c == TQ1_0 && level == AVX512:
		convertTQ1_0AVX512(dst, src, blocks)
	default:
		return false
	}
	return true
}
