//go:build !amd64 || noasm

package simd

func asmDotInterleaved(Format, *float32, int, *byte, int, int, *byte, int, int) int { return 0 }

func asmUnweave(Format, *byte, *byte, int, int) { panic("simd: no interleaved rows") }

func asmWeave(Format, *byte, *byte, int, int) bool { return false }
