//go:build amd64 && !noasm

package simd

// interleavedDots are the kernels on interleaved rows, by the number of columns less one.
var interleavedDots = [...][4]func(out *float32, outBytes int, w *byte, groups, blocks int, act *byte, actBytes int){
	Q8_0: {dotWovenQ8_0AVX512, dotWovenQ8_0x2AVX512, dotWovenQ8_0x3AVX512, dotWovenQ8_0x4AVX512},
	Q4_K: {dotWovenQ4KAVX512, dotWovenQ4Kx2AVX512, dotWovenQ4Kx3AVX512, dotWovenQ4Kx4AVX512},
	Q5_K: {dotWovenQ5KAVX512, dotWovenQ5Kx2AVX512, dotWovenQ5Kx3AVX512, dotWovenQ5Kx4AVX512},
	Q6_K: {dotWovenQ6KAVX512, dotWovenQ6Kx2AVX512, dotWovenQ6Kx3AVX512, dotWovenQ6Kx4AVX512},
}

// asmDotInterleaved runs a kernel of f for groups of sixteen interleaved rows, steps super-blocks (or groups of four
// blocks) each, and some of cols columns. It returns their number, 0 if the level has no kernel. Calls for the others
// take about as many each: kernels for few columns wait for their own sums.
func asmDotInterleaved(f Format, out *float32, outBytes int, w *byte, groups, steps int, act *byte, actBytes,
	cols int) int {
	if level < AVX512 {
		return 0
	}
	most := len(interleavedDots[f])
	calls := (cols + most - 1) / most
	n := (cols + calls - 1) / calls
	interleavedDots[f][n-1](out, outBytes, w, groups, steps, act, actBytes)
	return n
}

// asmUnweave writes a panel of two groups of interleaved rows, groupBytes bytes apart. The level must have panels.
func asmUnweave(f Format, panel, w *byte, groupBytes, steps int) {
	switch f {
	case Q8_0:
		unweaveQ8_0AVX512(panel, w, groupBytes, steps)
	case Q4_K:
		unweaveQ4KAVX512(panel, w, groupBytes, steps)
	case Q5_K:
		unweaveQ5KAVX512(panel, w, groupBytes, steps)
	case Q6_K:
		unweaveQ6KAVX512(panel, w, groupBytes, steps)
	}
}

// asmWeave interleaves sixteen rows, rowBytes bytes apart, and reports whether it did.
func asmWeave(f Format, dst, w *byte, rowBytes, steps int) bool {
	if level < AVX512 {
		return false
	}
	var scratch [1024]byte
	switch f {
	case Q8_0:
		weaveQ8_0AVX512(dst, w, rowBytes, steps, &scratch[0])
	case Q4_K:
		weaveQ4KAVX512(dst, w, rowBytes, steps, &scratch[0])
	case Q5_K:
		weaveQ5KAVX512(dst, w, rowBytes, steps, &scratch[0])
	case Q6_K:
		weaveQ6KAVX512(dst, w, rowBytes, steps, &scratch[0])
	}
	return true
}
