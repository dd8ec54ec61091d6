//go:build !amd64 || noasm

package simd

func asmRound(Format, *byte, *byte, int) { panic("simd: no tiles") }

func asmPackFloats(int, *byte, *float32, int) { panic("simd: no tiles") }

func asmRepackFloats(FloatType, *byte, *float32, int, int) { panic("simd: no tiles") }

func asmTilesFloat(FloatType, int, int, *byte, *byte, int, *float32, int, int) {
	panic("simd: no tiles")
}

func asmPackValues(*byte, *float32, int, int) { panic("simd: no tiles") }

func asmPackWeights(*byte, *float32, int) { panic("simd: no tiles") }
