package simd

import "encoding/binary"

// Panels are the layouts for products with many columns: TileRows rows of weights by TileColumns columns of
// activations, every four consecutive elements of a row or column together in a dword, so that one instruction
// multiplies the same elements of 16 rows. Codes of weights are widened to unsigned bytes. They exist only at levels
// that have the kernels, see HasPanels; the products are those of Dot, bit by bit.
//
// Where there are tiles, these panels are but a step: Repack makes tiles of type Rounded of each super-block's, and
// columns are the activations themselves.
//
// A panel of weights is, for each super-block (or group of four blocks), the codes [k/4][row][4]uint8, then
//
//	Q4_K, Q5_K  scale int32[8][row], mins [4][row][2]int16, d float32[row], dmin float32[row]
//	Q6_K, Codes  scale int32[16][row], d float32[row]; codes are 128 too large
//	Q8_0  d float32[4][row]; codes are 128 too large
//
// with AVX-512; NEON has them in groups of eight rows, without the offsets, see _gen/arm64/panels.go. A panel of
// activations is, for each of them, the codes [k/4][column][4]int8, then
//
//	K types  sum32 [4][column][2]int16, -128*sum16 int32[16][column], d float32[column]
//	others   -128*sum int32[4][column], d float32[4][column]
const (
	TileRows    = 32
	TileColumns = 6
)

// Sizes and offsets in bytes, as in _gen/panels.go.
const (
	colsKBytes  = 2048
	colsKSum32  = 1536
	colsKNeg16  = 1632
	colsKD      = 2016
	cols32Bytes = 960
	cols32Neg   = 768
	cols32D     = 864
	columnStep  = 4 * TileColumns
)

// panelBytes are the sizes of a super-block (or group) in a panel of weights.
var panelBytes = [...]int{Q8_0: 4608, Q4_K: 9984, Q5_K: 9984, Q6_K: 10368, Codes: 10368}

// step returns the number of elements in a super-block, or group of four blocks.
func (f Format) step() int {
	if f.super() {
		return 256
	}
	return 128
}

// HasPanels reports whether there are kernels for products of rows of k elements with many columns.
func (f Format) HasPanels(k int) bool {
	return (level == AVX512 || level == NEONDot) && k%f.step() == 0
}

// RoundsColumns reports whether the columns of panels are the activations themselves, as PackFloats writes them for
// Rounded, and not quantized ones: where there are tiles, weights become bfloat16 as well.
func RoundsColumns() bool { return tiles }

// PanelsBytes returns the size of count panels of TileRows rows of n weights, and what goes with them. They must start
// at a cache line.
func (f Format) PanelsBytes(count, n int) int {
	if tiles {
		return panelBytes[f] + count*Rounded.PanelBytes(n)
	}
	return count * (n / f.step()) * panelBytes[f]
}

// PanelChunk returns how many of k elements to multiply with cols columns at a time, so that a few panels stay in the
// second cache, and the columns of a tile in the first. Few columns take less time than reading the rows, which is
// faster in long pieces.
func (f Format) PanelChunk(k, cols int) int {
	switch {
	case tiles && cols <= 2*FloatColumns:
		return min(k, 1024)
	case tiles:
		return min(k, Rounded.Chunk())
	}
	return min(k, 12288)
}

// columnBytes returns the size of a panel of TileColumns columns of k activations.
func (f Format) columnBytes(k int) int {
	if f.super() {
		return k / 256 * colsKBytes
	}
	return k / 128 * cols32Bytes
}

// ColumnsBytes returns the size of the panels of cols columns of k activations.
func (f Format) ColumnsBytes(cols, k int) int {
	if tiles {
		return Rounded.ColumnsBytes(cols, k)
	}
	return (cols + TileColumns - 1) / TileColumns * f.columnBytes(k)
}

// Repack writes panel i of some: n elements of TileRows rows of w, rowBytes apart.
func (f Format) Repack(panels []byte, i int, w []byte, rowBytes, n int) {
	if n <= 0 || !f.HasPanels(n) || i < 0 || len(panels) < f.PanelsBytes(i+1, n) || len(w) < (TileRows-1)*rowBytes+
		f.Bytes(n) {
		panic("simd: wrong sizes to repack")
	}
	f.repack(panels, i, w, n/f.step(), f.stepBytes(), rowBytes, asmRepack)
}

// RepackInterleaved is Repack for elements first to first+n-1 of TileRows interleaved rows of k.
func (f Format) RepackInterleaved(panels []byte, i int, w []byte, k, first, n int) {
	if n <= 0 || !f.HasPanels(n) || first < 0 || first%f.step() != 0 || first+n > k || k%f.step() != 0 || i < 0 ||
		len(panels) < f.PanelsBytes(i+1, n) || len(w) < TileRows*f.Bytes(k) {
		panic("simd: wrong sizes to repack")
	}
	f.repack(panels, i, w[InterleavedRows*f.Bytes(first):], n/f.step(), InterleavedRows*f.stepBytes(),
		InterleavedRows*f.Bytes(k), asmUnweave)
}

// repack writes panel i with kernel, which reads steps super-blocks (or groups), step bytes apart.
func (f Format) repack(panels []byte, i int, w []byte, steps, step, stride int,
	kernel func(f Format, dst, w *byte, stride, blocks int)) {
	if !tiles {
		kernel(f, &panels[i*steps*panelBytes[f]], &w[0], stride, steps)
		return
	}
	tile := Rounded.PanelBytes(f.step()) // by way of a panel without tiles, one at a time
	for s := range steps {
		kernel(f, &panels[0], &w[s*step], stride, 1)
		asmRound(f, &panels[panelBytes[f]+(i*steps+s)*tile], &panels[0], 1)
	}
}

// PackColumns writes quantized activations, at most TileColumns, as the columns from c on, a multiple of TileColumns, of
// the panels of cols columns. Columns that are never written may hold anything. See RoundsColumns for when this is not
// how columns are made.
func (f Format) PackColumns(columns []byte, acts [][]byte, c, cols, k int) {
	size := f.columnBytes(k)
	if tiles || len(acts) < 1 || len(acts) > TileColumns || c < 0 || c%TileColumns != 0 || c+len(acts) > cols ||
		!f.HasPanels(k) || len(columns) < f.ColumnsBytes(cols, k) {
		panic("simd: wrong sizes to pack")
	}
	panel := columns[c/TileColumns*size:][:size]
	var all [TileColumns]*byte // the last stands for those that lack
	for i := range all {
		act := acts[min(i, len(acts)-1)]
		if len(act) < f.ActBytes(k) {
			panic("simd: wrong sizes to pack")
		}
		all[i] = &act[0]
	}
	if asmPackColumns(f, &panel[0], &all, k/f.step()) {
		return
	}
	for i, act := range acts {
		for b := range k / f.step() {
			if f.super() {
				packColumnK(panel[b*colsKBytes:][:colsKBytes], act[b*ActKBytes:][:ActKBytes], i)
			} else {
				packColumn32(panel[b*cols32Bytes:][:cols32Bytes], act[b*Act32Bytes:][:Act32Bytes], i)
			}
		}
	}
}

func packColumnK(panel, act []byte, c int) {
	put := func(at int, v uint32) { binary.LittleEndian.PutUint32(panel[at+4*c:], v) }
	for i := range 64 {
		put(i*columnStep, binary.LittleEndian.Uint32(act[4*i:]))
	}
	for i := range 4 {
		put(colsKSum32+i*columnStep, binary.LittleEndian.Uint32(act[actKSum32+4*i:]))
	}
	for i := range 16 {
		put(colsKNeg16+i*columnStep, uint32(-128*int32(int16At(act[actKSum16+2*i:]))))
	}
	put(colsKD, binary.LittleEndian.Uint32(act[actKD:]))
}

func packColumn32(panel, act []byte, c int) {
	put := func(at int, v uint32) { binary.LittleEndian.PutUint32(panel[at+4*c:], v) }
	for i := range 32 {
		put(i*columnStep, binary.LittleEndian.Uint32(act[4*i:]))
	}
	for i := range 4 {
		put(cols32Neg+i*columnStep, -binary.LittleEndian.Uint32(act[act32Sum+4*i:])<<7)
		put(cols32D+i*columnStep, binary.LittleEndian.Uint32(act[act32D+4*i:]))
	}
}

// MulPanels sets out[c*outStride+r] to the product of row r of count panels and column c of k elements, for all rows
// and cols columns. If the panels hold a part of the rows, n elements from first on, it adds to what the elements
// before gave; parts must come in order.
func (f Format) MulPanels(out []float32, outStride int, panels []byte, count int, columns []byte, cols, k, first,
	n int) {
	if cols < 1 || count < 1 || n <= 0 || n%f.step() != 0 || first < 0 || first%f.step() != 0 || first+n > k ||
		len(out) < (cols-1)*outStride+count*TileRows ||
		len(panels) < f.PanelsBytes(count, n) || len(columns) < f.ColumnsBytes(cols, k) {
		panic("simd: wrong sizes of a product")
	}
	if tiles {
		Rounded.MulFloatPanels(out, outStride, panels[panelBytes[f]:], count, columns, cols, k, first, n)
		return
	}
	steps, colBytes := n/f.step(), f.columnBytes(k)
	for i := range count {
		w := &panels[i*steps*panelBytes[f]]
		for c := 0; c < cols; c += TileColumns {
			a := &columns[c/TileColumns*colBytes+f.columnBytes(first)]
			y := out[c*outStride+i*TileRows:]
			if cols-c >= TileColumns {
				asmGemm(f, steps, w, a, y, outStride, first == 0)
				continue
			}
			f.edge(y, outStride, steps, w, a, cols-c, first == 0)
		}
	}
}

// edge computes a tile of fewer columns than a panel has.
func (f Format) edge(out []float32, outStride, n int, w, a *byte, cols int, set bool) {
	var tile [TileColumns * TileRows]float32
	for c := range cols {
		copy(tile[c*TileRows:][:TileRows], out[c*outStride:])
	}
	asmGemm(f, n, w, a, tile[:], TileRows, set)
	for c := range cols {
		copy(out[c*outStride:][:TileRows], tile[c*TileRows:])
	}
}
