//go:build !amd64 || noasm

package simd

func asmRepackTiles(Format, []byte, []byte, *byte, int, int) { panic("simd: no tiles") }

func asmTiles(Format, int, *byte, *byte, *float32, int, *float32, int, *byte) {
	panic("simd: no tiles")
}

func asmPackFloats(*byte, *float32, int) { panic("simd: no tiles") }

func asmRepackFloats(FloatType, *byte, *float32, int, int) { panic("simd: no tiles") }

func asmTilesFloat(FloatType, int, *byte, *byte, *float32, int, *float32, int) {
	panic("simd: no tiles")
}
