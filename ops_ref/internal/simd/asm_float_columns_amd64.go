//go:build amd64 && !noasm

package simd

// asmFloatColumns multiplies a part of rows of type t with a panel of columns. The level must have panels of columns.
func asmFloatColumns(t FloatType, out *float32, outBytes int, w *byte, rowBytes, quads, steps int, x, sums *float32,
	phase int) {
	switch t {
	case F32:
		floatColumnsF32AVX512(out, outBytes, w, rowBytes, quads, steps, x, sums, phase)
	case F16:
		floatColumnsF16AVX512(out, outBytes, w, rowBytes, quads, steps, x, sums, phase)
	case BF16:
		floatColumnsBF16AVX512(out, outBytes, w, rowBytes, quads, steps, x, sums, phase)
	}
}
