//go:build !amd64 || noasm

package simd

func asmFloatColumns(FloatType, *float32, int, *byte, int, int, int, *float32, *float32, int) {
	panic("simd: no panels of columns")
}
