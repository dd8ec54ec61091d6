//go:build amd64 && !noasm

package simd

// asmDotColumns runs a kernel of f for 4*quads rows, steps super-blocks (or groups of four blocks) each, and as many
// columns as it has one for, at most cols. It returns that number, 0 if there is none for several.
func asmDotColumns(f Format, out *float32, outBytes int, w *byte, rowBytes, quads, steps int, act *byte, actBytes,
	cols int) int {
	if level < AVX512 || cols < 2 {
		return 0
	}
	if cols >= 4 {
		switch f {
		case Q8_0:
			dotQ8_0x4AVX512(out, outBytes, w, rowBytes, quads, steps, act, actBytes)
		case Q4_K:
			dotQ4Kx4AVX512(out, outBytes, w, rowBytes, quads, steps, act, actBytes)
		case Q5_K:
			dotQ5Kx4AVX512(out, outBytes, w, rowBytes, quads, steps, act, actBytes)
		case Q6_K:
			dotQ6Kx4AVX512(out, outBytes, w, rowBytes, quads, steps, act, actBytes)
		case Codes:
			dotCodesx4AVX512(out, outBytes, w, rowBytes, quads, steps, act, actBytes)
		}
		return 4
	}
	switch f {
	case Q8_0:
		dotQ8_0x2AVX512(out, outBytes, w, rowBytes, quads, steps, act, actBytes)
	case Q4_K:
		dotQ4Kx2AVX512(out, outBytes, w, rowBytes, quads, steps, act, actBytes)
	case Q5_K:
		dotQ5Kx2AVX512(out, outBytes, w, rowBytes, quads, steps, act, actBytes)
	case Q6_K:
		dotQ6Kx2AVX512(out, outBytes, w, rowBytes, quads, steps, act, actBytes)
	case Codes:
		dotCodesx2AVX512(out, outBytes, w, rowBytes, quads, steps, act, actBytes)
	}
	return 2
}

// dotConverteds are the kernels for rows that are not converted first: for four columns, which not all have, two and one.
var dotConverteds = [...]struct {
	four, two func(out *float32, outBytes int, w *byte, rowBytes, quads, steps int, act *byte, actBytes int)
	one       func(out *float32, w *byte, rowBytes, quads, steps int, act *byte)
}{Q3_K: {dotQ3Kx4AVX512, dotQ3Kx2AVX512, dotQ3KAVX512}, IQ4_XS: {nil, dotIQ4XSx2AVX512, dotIQ4XSAVX512}}

// hasDotConverted reports whether the level has kernels for rows of type c that are not converted first.
func hasDotConverted(c Conversion) bool {
	return level == AVX512 && int(c) < len(dotConverteds) && dotConverteds[c].one != nil
}

// asmDotConverted runs such a kernel for 4*quads rows of steps blocks and returns its number of columns, at most cols.
func asmDotConverted(c Conversion, out *float32, outBytes int, w *byte, rowBytes, quads, steps int, act *byte, actBytes,
	cols int) int {
	switch k := &dotConverteds[c]; {
	case cols >= 4 && k.four != nil:
		k.four(out, outBytes, w, rowBytes, quads, steps, act, actBytes)
		return 4
	case cols >= 2:
		k.two(out, outBytes, w, rowBytes, quads, steps, act, actBytes)
		return 2
	default:
		k.one(out, w, rowBytes, quads, steps, act)
		return 1
	}
}
