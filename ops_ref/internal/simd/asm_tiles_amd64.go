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
