//go:build !amd64 || noasm

package simd

func asmDotColumns(Format, *float32, int, *byte, int, int, int, *byte, int, int) int { return 0 }
