//go:build (!amd64 && !arm64) || noasm

package simd

func detect() Level { return Generic }

func asmDot(Format, *float32, *byte, int, int, int, *byte) bool { return false }

func asmQuantizeK(*byte, *float32, int) bool { return false }

func asmQuantize32(*byte, *float32, int) bool { return false }

func asmTile(FloatType, *float32, int, *byte, int, int, int, *float32, int, int) int { return 0 }

func asmWiden(FloatType, *float32, *byte, int) bool { return false }

// Pause does nothing where there is no instruction for it.
func Pause(int) {}

// Prefetch does nothing where there is no instruction for it.
func Prefetch([]byte) {}

func asmRepack(Format, *byte, *byte, int, int) { panic("simd: no panels") }

func asmPackColumns(Format, *byte, *[TileColumns]*byte, int) bool { return false }

func asmGemm(Format, int, *byte, *byte, []float32, int, bool) { panic("simd: no panels") }

func asmUnary(Unary, *float32, *float32, int, float32) bool { return false }

func asmBinary(Binary, *float32, *float32, *float32, int, float32, float32) bool { return false }

func asmMulAdd(*float32, *float32, *float32, *float32, int) bool { return false }

func asmSumSquares(*float32, int, *[8]float64) bool { return false }

func asmMax(*float32, int, *[8]float32) bool { return false }

func asmExpSum(*float32, int, float32, *[8]float32) bool { return false }

func asmRotate(*float32, *float32, *float32, *float32, int, int) bool { return false }

func asmNarrow(*byte, *float32, int) bool { return false }

func asmAddRows(FloatType, *float32, int, *byte, int, *float32, int) bool { return false }

func asmDelta(*float32, int, int, *Delta) bool { return false }

func asmScan(*float32, int, int, *Scan) bool { return false }

func asmConvert(Conversion, *byte, *byte, int) bool { return false }

func asmExpand(*float32, *runs, int) bool { return false }
