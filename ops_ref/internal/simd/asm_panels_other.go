//go:build !amd64 || noasm

package simd

func asmRepack(Format, *byte, *byte, int, int) { panic("simd: no panels") }

func asmGemm(Format, int, *byte, *byte, *float32, int) { panic("simd: no panels") }
