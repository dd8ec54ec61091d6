//go:build !amd64 || noasm

package simd

func asmDotColumns(Format, *float32, int, *byte, int, int, int, *byte, int, int) int { return 0 }

func hasDotConverted(Conversion) bool { return false }

func asmDotConverted(Conversion, *float32, int, *byte, int, int, int, *byte, int, int) int {
	panic("simd: no kernel for rows as they are")
}

func asmExpandBlocks(Expansion, *float32, *byte, int) bool { return false }
