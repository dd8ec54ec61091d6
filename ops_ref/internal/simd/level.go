package simd

import (
	"fmt"
	"runtime"
	"slices"
)

// Level is a set of instructions that kernels are written for. Kernels of all levels give the same bits, but for
// products on tiles, which need AMX: see FloatType.MulFloatPanels.
type Level uint8

// The levels, each of which includes those before it of its architecture.
const (
	Generic Level = iota // Go alone
	NEON                 // what every arm64 processor has
	NEONDot              // NEON with dot products of bytes (FEAT_DotProd)
	AVX2                 // AVX2, FMA and F16C
	AVX512               // AVX-512 F, BW, DQ, VL and VNNI
	AMX                  // AMX on bfloat16
)

// Levels returns the levels that exist for this architecture. The processor, and the build, may lack the last.
func Levels() []Level {
	if runtime.GOARCH == "arm64" {
		return []Level{Generic, NEON, NEONDot}
	}
	return []Level{Generic, AVX2, AVX512, AMX}
}

// String names l as error messages and benchmarks do.
func (l Level) String() string {
	switch l {
	case Generic:
		return "generic"
	case NEON:
		return "neon"
	case NEONDot:
		return "neon+dotprod"
	case AVX2:
		return "avx2"
	case AVX512:
		return "avx512"
	case AMX:
		return "amx"
	}
	return fmt.Sprintf("level(%d)", uint8(l))
}

// best is what this processor, and this build, can use. level is what kernels on vectors use, AVX512 at most, and
// tiles says whether there are kernels on tiles too.
var (
	best  = detect()
	level = min(best, AVX512)
	tiles = best == AMX
)

// Current returns the level that kernels use: the best that the processor has, unless Force changed it.
func Current() Level {
	if tiles {
		return AMX
	}
	return level
}

// Has reports whether this processor, and this build, can use l.
func Has(l Level) bool { return l <= best && slices.Contains(Levels(), l) }

// Force makes kernels use l until restore is called, so that tests run all levels on one machine. It reports false,
// and changes nothing, if the processor or the build lacks l. No kernel may run during either call.
func Force(l Level) (restore func(), ok bool) {
	if !Has(l) {
		return func() {}, false
	}
	oldLevel, oldTiles := level, tiles
	level, tiles = min(l, AVX512), l == AMX
	return func() { level, tiles = oldLevel, oldTiles }, true
}
