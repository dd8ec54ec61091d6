//go:build amd64 && !noasm

package simd

import "github.com/klauspost/cpuid/v2"

// detect returns the best level of the processor. The operating system must save the registers, which cpuid checks.
func detect() Level {
	switch {
	case !cpuid.CPU.Supports(cpuid.AVX2, cpuid.FMA3, cpuid.F16C):
		return Generic
	case !cpuid.CPU.Supports(cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512DQ, cpuid.AVX512VL, cpuid.AVX512VNNI):
		return AVX2
	case !cpuid.CPU.Supports(cpuid.AMXTILE, cpuid.AMXBF16) || !allowTiles():
		return AVX512
	}
	return AMX
}

// asmDot runs the kernel of f for 4*quads rows, blocks blocks (or groups of four) each. It reports false if the level
// has none.
func asmDot(f Format, out *float32, w *byte, rowBytes, quads, blocks int, act *byte) bool {
	switch {
	case level == Generic:
		return false
	case f == Q8_0 && level == AVX512:
		dotQ8_0AVX512(out, w, rowBytes, quads, blocks, act)
	case f == Q8_0:
		dotQ8_0AVX2(out, w, rowBytes, quads, blocks, act)
	case f == Q4_K && level == AVX512:
		dotQ4KAVX512(out, w, rowBytes, quads, blocks, act)
	case f == Q4_K:
		dotQ4KAVX2(out, w, rowBytes, quads, blocks, act)
	case f == Q5_K && level == AVX512:
		dotQ5KAVX512(out, w, rowBytes, quads, blocks, act)
	case f == Q5_K:
		dotQ5KAVX2(out, w, rowBytes, quads, blocks, act)
	case f == Q6_K && level == AVX512:
		dotQ6KAVX512(out, w, rowBytes, quads, blocks, act)
	case f == Q6_K:
		dotQ6KAVX2(out, w, rowBytes, quads, blocks, act)
	case f == Codes && level == AVX512:
		dotCodesAVX512(out, w, rowBytes, quads, blocks, act)
	case f == Codes:
		dotCodesAVX2(out, w, rowBytes, quads, blocks, act)
	default:
		return false
	}
	return true
}

// asmQuantizeK and asmQuantize32 report whether they did the work.
func asmQuantizeK(dst *byte, x *float32, blocks int) bool {
	if level == Generic {
		return false
	}
	quantizeKAVX2(dst, x, blocks)
	return true
}

func asmQuantize32(dst *byte, x *float32, groups int) bool {
	if level == Generic {
		return false
	}
	quantize32AVX2(dst, x, groups)
	return true
}

// asmTile runs a tile of 4*quads rows of type t and as many columns as the level has a kernel for, at most cols, and
// returns that number: 0 for none.
func asmTile(t FloatType, out *float32, outBytes int, w *byte, rowBytes, quads, k int, x *float32, colBytes,
	cols int) int {
	switch {
	case level == Generic || t != F32 && k%16 != 0:
		return 0
	case level == AVX2:
		switch t {
		case F32:
			dotF32x1AVX2(out, w, rowBytes, quads, k, x)
		case F16:
			dotF16x1AVX2(out, w, rowBytes, quads, k, x)
		case BF16:
			dotBF16x1AVX2(out, w, rowBytes, quads, k, x)
		}
		return 1
	case t == F16:
		dotF16x1AVX512(out, outBytes, w, rowBytes, quads, k, x, colBytes)
		return 1
	case t == BF16:
		dotBF16x1AVX512(out, outBytes, w, rowBytes, quads, k, x, colBytes)
		return 1
	case cols >= 6:
		dotF32x6AVX512(out, outBytes, w, rowBytes, quads, k, x, colBytes)
		return 6
	case cols >= 3:
		dotF32x3AVX512(out, outBytes, w, rowBytes, quads, k, x, colBytes)
		return 3
	case cols == 2:
		dotF32x2AVX512(out, outBytes, w, rowBytes, quads, k, x, colBytes)
		return 2
	}
	dotF32x1AVX512(out, outBytes, w, rowBytes, quads, k, x, colBytes)
	return 1
}

// asmWiden converts eights*8 elements of type t and reports whether it did.
func asmWiden(t FloatType, dst *float32, src *byte, eights int) bool {
	switch {
	case level == Generic:
		return false
	case t == F16:
		widenF16AVX2(dst, src, eights)
	case t == BF16:
		widenBF16AVX2(dst, src, eights)
	default:
		return false
	}
	return true
}

// Pause tells the processor that a loop is waiting for another core, for about n times 40 to 140 cycles.
func Pause(n int) {
	if n > 0 {
		pause(n)
	}
}

// Prefetch asks for the cache lines of b to be in the second cache, of memory that is read soon.
func Prefetch(b []byte) {
	if len(b) > 0 {
		prefetch(&b[0], (len(b)+63)/64)
	}
}

// asmRepack writes a panel of weights. The level must have panels.
func asmRepack(f Format, panel, w *byte, rowBytes, steps int) {
	switch f {
	case Q8_0:
		repackQ8_0AVX512(panel, w, rowBytes, steps)
	case Q4_K:
		repackQ4KAVX512(panel, w, rowBytes, steps)
	case Q5_K:
		repackQ5KAVX512(panel, w, rowBytes, steps)
	case Q6_K:
		repackQ6KAVX512(panel, w, rowBytes, steps)
	case Codes:
		repackCodesAVX512(panel, w, rowBytes, steps)
	}
}

// asmPackColumns writes a panel of columns and reports whether it did.
func asmPackColumns(f Format, panel *byte, acts *[TileColumns]*byte, steps int) bool {
	if level != AVX512 {
		return false
	}
	if f.super() {
		packColumnsKAVX512(panel, &acts[0], steps)
	} else {
		packColumns32AVX512(panel, &acts[0], steps)
	}
	return true
}

// asmGemm adds the products of a tile to out, or sets it to them. The level must have panels.
func asmGemm(f Format, steps int, w, a *byte, out []float32, outStride int, set bool) {
	first := 0
	if set {
		first = 1
	}
	switch f {
	case Q8_0:
		gemmQ8_0AVX512(steps, w, a, &out[0], 4*outStride, first)
	case Q4_K, Q5_K:
		gemmQ4KAVX512(steps, w, a, &out[0], 4*outStride, first)
	case Q6_K, Codes:
		gemmQ6KAVX512(steps, w, a, &out[0], 4*outStride, first)
	}
}

// asmConvert converts blocks and reports whether it did.
func asmConvert(c Conversion, dst, src *byte, blocks int) bool {
	if level == Generic {
		return false
	}
	switch c {
	case Q4_0:
		convertQ4_0AVX2(dst, src, blocks)
	case Q5_0:
		convertQ5_0AVX2(dst, src, blocks)
	case IQ4_NL:
		convertIQ4_NLAVX2(dst, src, blocks)
	case MXFP4:
		convertMXFP4AVX2(dst, src, blocks)
	default:
		return asmConvertCodes(c, dst, src, blocks)
	}
	return true
}

// asmExpand writes subs runs as float32 and reports whether it did.
func asmExpand(dst *float32, r *runs, subs int) bool {
	if level == Generic {
		return false
	}
	expandAVX2(dst, &r.codes[0], subs, &r.steps[0], &r.mins[0])
	return true
}
