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
	}
	return 2
}
