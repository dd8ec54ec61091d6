//go:build amd64 && !noasm

package simd

// asmRepackTiles writes a tile panel of weights, of super-blocks by way of their panel without tiles, one at a time in
// tmp.
func asmRepackTiles(f Format, panel, tmp []byte, w *byte, rowBytes, steps int) {
	switch f {
	case Q8_0:
		repackQ8_0AMX(&panel[0], w, rowBytes, steps)
	case Q4_K, Q5_K:
		asmRepack(f, &tmp[0], w, rowBytes, 1)
		splitQ4KAMX(&panel[0], &tmp[0], 1)
	case Q6_K:
		asmRepack(f, &tmp[0], w, rowBytes, 1)
		splitQ6KAMX(&panel[0], &tmp[0], 1)
	}
}

// asmTiles runs the kernel of f for one step and n tiles of columns. The level must have tiles.
func asmTiles(f Format, n int, w, a *byte, src *float32, srcBytes int, dst *float32, dstBytes int, buf *byte) {
	switch f {
	case Q8_0:
		tilesQ8_0AMX(n, w, a, src, srcBytes, dst, dstBytes, buf)
	case Q4_K, Q5_K:
		tilesQ4KAMX(n, w, a, src, srcBytes, dst, dstBytes, buf)
	case Q6_K:
		tilesQ6KAMX(n, w, a, src, srcBytes, dst, dstBytes, buf)
	}
}

// asmPackFloats writes a column of floats in planes. The level must have tiles.
func asmPackFloats(dst *byte, x *float32, steps int) { packFloatsAMX(dst, x, steps) }

// asmRepackFloats writes the tiles of 16 rows of floats.
func asmRepackFloats(t FloatType, dst *byte, w *float32, rowBytes, steps int) {
	switch t {
	case F32:
		repackF32AMX(dst, w, rowBytes, steps)
	case F16:
		repackF16AMX(dst, w, rowBytes, steps)
	case BF16:
		repackBF16AMX(dst, w, rowBytes, steps)
	}
}

// asmTilesFloat runs the kernel of t for a tile of 32 rows and 32 columns.
func asmTilesFloat(t FloatType, steps int, w, a *byte, src *float32, srcBytes int, dst *float32, dstBytes int) {
	switch t {
	case F32:
		tilesF32AMX(steps, w, a, src, srcBytes, dst, dstBytes)
	case F16:
		tilesF16AMX(steps, w, a, src, srcBytes, dst, dstBytes)
	case BF16:
		tilesBF16AMX(steps, w, a, src, srcBytes, dst, dstBytes)
	}
}
