//go:build arm64 && !noasm

package simd

import "github.com/klauspost/cpuid/v2"

// detect returns the best level of the processor. All have NEON; dot products came with Armv8.2.
func detect() Level {
	if cpuid.CPU.Supports(cpuid.ASIMDDP) {
		return NEONDot
	}
	return NEON
}

// asmDot runs the kernel of f for 4*quads rows, blocks blocks (or groups of four) each. It reports false if the level
// has none.
func asmDot(f Format, out *float32, w *byte, rowBytes, quads, blocks int, act *byte) bool {
	switch {
	case level == Generic:
		return false
	case f == Q8_0 && level == NEONDot:
		dotQ8_0NEONDot(out, w, rowBytes, quads, blocks, act)
	case f == Q8_0:
		dotQ8_0NEON(out, w, rowBytes, quads, blocks, act)
	case f == Q4_K && level == NEONDot:
		dotQ4KNEONDot(out, w, rowBytes, quads, blocks, act)
	case f == Q4_K:
		dotQ4KNEON(out, w, rowBytes, quads, blocks, act)
	case f == Q5_K && level == NEONDot:
		dotQ5KNEONDot(out, w, rowBytes, quads, blocks, act)
	case f == Q5_K:
		dotQ5KNEON(out, w, rowBytes, quads, blocks, act)
	case f == Q6_K && level == NEONDot:
		dotQ6KNEONDot(out, w, rowBytes, quads, blocks, act)
	case f == Q6_K:
		dotQ6KNEON(out, w, rowBytes, quads, blocks, act)
	case f == Codes && level == NEONDot:
		dotCodesNEONDot(out, w, rowBytes, quads, blocks, act)
	case f == Codes:
		dotCodesNEON(out, w, rowBytes, quads, blocks, act)
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
	quantizeKNEON(dst, x, blocks)
	return true
}

func asmQuantize32(dst *byte, x *float32, groups int) bool {
	if level == Generic {
		return false
	}
	quantize32NEON(dst, x, groups)
	return true
}

// asmTile runs a tile of 4*quads rows of type t and one column, and returns 1, or 0 if there is no kernel.
func asmTile(t FloatType, out *float32, _ int, w *byte, rowBytes, quads, k int, x *float32, _, _ int) int {
	if level == Generic || t != F32 && k%16 != 0 {
		return 0
	}
	switch t {
	case F32:
		dotF32NEON(out, w, rowBytes, quads, k, x)
	case F16:
		dotF16NEON(out, w, rowBytes, quads, k, x)
	case BF16:
		dotBF16NEON(out, w, rowBytes, quads, k, x)
	}
	return 1
}

// asmWiden converts eights*8 elements of type t and reports whether it did.
func asmWiden(t FloatType, dst *float32, src *byte, eights int) bool {
	switch {
	case level == Generic:
		return false
	case t == F16:
		widenF16NEON(dst, src, eights)
	case t == BF16:
		widenBF16NEON(dst, src, eights)
	default:
		return false
	}
	return true
}

// Prefetch does nothing: what it would gain has not been measured here.
func Prefetch([]byte) {}

// Pause tells the processor that a loop is waiting for another core, for about n times 10 ns.
func Pause(n int) {
	if n > 0 {
		pause(n)
	}
}

// asmRepack writes a panel of weights. The level must have panels.
func asmRepack(f Format, panel, w *byte, rowBytes, steps int) {
	switch f {
	case Q8_0:
		repackQ8_0NEONDot(panel, w, rowBytes, steps)
	case Q4_K:
		repackQ4KNEONDot(panel, w, rowBytes, steps)
	case Q5_K:
		repackQ5KNEONDot(panel, w, rowBytes, steps)
	case Q6_K:
		repackQ6KNEONDot(panel, w, rowBytes, steps)
	case Codes:
		repackCodesNEONDot(panel, w, rowBytes, steps)
	}
}

// asmPackColumns reports that there is no kernel.
func asmPackColumns(Format, *byte, *[TileColumns]*byte, int) bool { return false }

// asmGemm adds the products of a tile to out, or sets it to them. The level must have panels.
func asmGemm(f Format, steps int, w, a *byte, out []float32, outStride int, set bool) {
	if set {
		for c := range TileColumns {
			clear(out[c*outStride:][:TileRows])
		}
	}
	switch f {
	case Q8_0:
		gemmQ8_0NEONDot(steps, w, a, &out[0], 4*outStride)
	case Q4_K, Q5_K:
		gemmQ4KNEONDot(steps, w, a, &out[0], 4*outStride)
	case Q6_K, Codes:
		gemmQ6KNEONDot(steps, w, a, &out[0], 4*outStride)
	}
}

// asmConvert converts blocks and reports whether it did.
func asmConvert(c Conversion, dst, src *byte, blocks int) bool {
	if level == Generic {
		return false
	}
	switch c {
	case Q4_0:
		convertQ4_0NEON(dst, src, blocks)
	case Q5_0:
		convertQ5_0NEON(dst, src, blocks)
	case IQ4_NL:
		convertIQ4_NLNEON(dst, src, blocks)
	case MXFP4:
		convertMXFP4NEON(dst, src, blocks)
	default:
		return false
	}
	return true
}

// asmExpand writes subs runs as float32 and reports whether it did.
func asmExpand(dst *float32, r *runs, subs int) bool {
	if level == Generic {
		return false
	}
	expandNEON(dst, &r.codes[0], subs, &r.steps[0], &r.mins[0])
	return true
}
