// Command _gen writes the amd64 kernels of package simd:
//
//	go run . -out ../kernels_amd64.s -stubs ../kernels_amd64.go -pkg simd
//	go run . -tiles -out ../tiles_amd64.s -stubs ../tiles_amd64.go -pkg simd
//
// It is a module of its own, so that users of the product never see its dependencies. Each kernel is described by
// the pure-Go function of package simd that its doc comment names.
package main

import (
	"flag"

	asm "github.com/mmcloughlin/avo/build"
)

func main() {
	onTiles := flag.Bool("tiles", false, "write the kernels that use tiles, and not the others")
	flag.Parse()
	asm.ConstraintExpr("amd64,!noasm")
	if *onTiles {
		tileKernels()
		asm.Generate()
		return
	}
	constants()
	pause()
	prefetch()
	quantize()
	dotQ8_0AVX512()
	dotQ8_0AVX2()
	affineConstants()
	for _, a := range []affineK{q4K, q5K} {
		for _, cols := range dotCols {
			a.dotAVX512(cols)
		}
		a.dotAVX2()
	}
	dotQ6KAVX512()
	dotQ6KAVX2()
	for _, cols := range tileCols {
		dotFloatAVX512(f32, cols)
	}
	dotFloatAVX2(f32)
	for _, t := range []floatType{f16, bf16} {
		dotFloatAVX512(t, 1)
		dotFloatAVX2(t)
		widen(t)
	}
	for _, t := range []floatType{f32, f16, bf16} {
		floatColumnPanels(t)
	}
	laneNumbers()
	repackQ8_0()
	q4K.repack()
	q5K.repack()
	repackQ6K()
	convert()
	codesConstants()
	codesKernels()
	convertCodesAVX2()
	convertedKernels()
	convertCodesAVX512()
	gridConversions()
	expand()
	expansions()
	wovenKernels()
	packConstants()
	packColumnsK()
	packColumns32()
	gemmConstants()
	gemmQ8_0()
	gemmQ4K()
	gemmQ6K()
	vectors()
	for _, t := range []floatType{f32, f16, bf16} {
		addRows(t, true)
		addRows(t, false)
	}
	attention()
	for _, scan := range []bool{false, true} {
		deltaStep(true, scan)
		deltaStep(false, scan)
	}
	asm.Generate()
}
