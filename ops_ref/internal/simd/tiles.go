package simd

// Products on tiles: a processor with AMX multiplies 16 columns of up to 64 bytes of activations with as many bytes of
// 16 rows of weights at once. The sums of a super-block are integers, so they may be computed in any way: a scale
// times its code takes 16 bits, whose high and low byte lie in tiles of their own, and one float operation after
// another follows for a whole super-block, as in the row functions.
//
// A tile panel of weights is, for each super-block of the K types, the tiles [k/64][row/16][low, high] of
// [16][row%16][4] bytes, of scale*code (Q6_K: scale*(code-32)), and then
//
//	Q4_K, Q5_K  mins [4][row][2]int16, d float32[row], dmin float32[row]
//	Q6_K        d float32[row]
//
// Panels of Q8_0 are those without tiles, but their codes are signed.
//
// Activations are as Quantize writes them, block by block (or group by group): [block][column], so that the columns
// of a block are neighbours. The number of columns is rounded up to whole tiles.
const (
	tileColumns = 16
	tileBuffer  = 16 << 10 // bytes of sums that wait for what follows

	// sumColumns is the number of columns whose results stay in the first cache while all blocks pass.
	sumColumns = 128
)

// tilePanelBytes are the sizes of a super-block (or group) in a tile panel.
var tilePanelBytes = [...]int{Q8_0: 4608, Q4_K: 17152, Q5_K: 17152, Q6_K: 16512}

// workBytes is the size of what precedes a tile panel, for the kernels' use: sums, results, and a super-block's panel
// without tiles.
const (
	workSums  = tileBuffer
	workPanel = workSums + 4*TileRows*sumColumns
	workBytes = workPanel + 10368
)

// noSums are results of columns without products.
var noSums [TileRows]float32

func roundUp(n, unit int) int { return (n + unit - 1) / unit * unit }

// actStep returns the bytes of a super-block, or group, of quantized activations.
func (f Format) actStep() int { return f.ActBytes(f.step()) }

// repackTiles writes a tile panel.
func (f Format) repackTiles(panel, w []byte, rowBytes, steps int) {
	tmp, panel := panel[workPanel:workBytes], panel[workBytes:]
	n := 1 // at a time
	if f == Q8_0 {
		n = steps
	}
	size := f.step() / f.Block() * layouts[f].bytes
	for s := 0; s < steps; s += n {
		asmRepackTiles(f, panel[s*tilePanelBytes[f]:], tmp, &w[s*size], rowBytes, n)
	}
}

// packTiles writes quantized activations as column c of cols.
func (f Format) packTiles(columns, act []byte, c, cols int) {
	size := f.actStep()
	next := roundUp(cols, tileColumns) * size
	for at := c * size; len(act) >= size; at, act = at+next, act[size:] {
		copy(columns[at:at+size], act)
	}
}

// mulTiles is MulPanels.
func (f Format) mulTiles(out []float32, outStride int, panel, columns []byte, cols, k int) {
	steps, size := k/f.step(), f.actStep()
	next := roundUp(cols, tileColumns) * size
	buf, sums, panel := &panel[0], Of[float32](panel[workSums:workPanel]), panel[workBytes:]
	const sumBytes = 4 * TileRows
	for c := 0; c < cols; c += sumColumns {
		n := min(sumColumns, cols-c)
		whole, src, srcBytes := n/tileColumns, &noSums[0], 0
		for s := range steps - 1 {
			asmTiles(f, roundUp(n, tileColumns)/tileColumns, &panel[s*tilePanelBytes[f]], &columns[s*next+c*size], src, srcBytes, &sums[0], sumBytes, buf)
			src, srcBytes = &sums[0], sumBytes
		}
		// The last results go where they belong.
		w, a := &panel[(steps-1)*tilePanelBytes[f]], columns[(steps-1)*next+c*size:]
		if whole > 0 {
			asmTiles(f, whole, w, &a[0], src, srcBytes, &out[c*outStride], 4*outStride, buf)
		}
		if done := whole * tileColumns; done < n {
			if srcBytes > 0 {
				src = &sums[done*TileRows]
			}
			asmTiles(f, 1, w, &a[done*size], src, srcBytes, &sums[done*TileRows], sumBytes, buf)
			for i := done; i < n; i++ {
				copy(out[(c+i)*outStride:][:TileRows], sums[i*TileRows:])
			}
		}
	}
}
