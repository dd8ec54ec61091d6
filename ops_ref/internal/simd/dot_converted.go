package simd

// Dot is what Convert and DotColumns do, for rows rows of k elements, rowBytes apart, and cols columns, without writing
// converted rows. It reports false, and does nothing, if the level has no kernel for that.
func (c Conversion) Dot(out []float32, outStride int, w []byte, rowBytes, rows int, acts []byte, cols, k int) bool {
	f := c.Format()
	size, act := k/f.Block()*conversions[c].bytes, f.ActBytes(k)
	if !hasDotConverted(c) {
		return false
	}
	if rows <= 0 || cols <= 0 || k <= 0 || k%f.step() != 0 || rowBytes < size || len(w) < (rows-1)*rowBytes+size ||
		len(acts) < cols*act || len(out) < (cols-1)*outStride+rows {
		panic("simd: wrong sizes of a product")
	}
	quads, steps := rows/4, k/f.step()
	for col := 0; col < cols; {
		n := 1
		if quads > 0 {
			n = asmDotConverted(c, &out[col*outStride], 4*outStride, &w[0], rowBytes, quads, steps, &acts[col*act], act,
				cols-col)
		}
		for r := 4 * quads; r < rows; r++ { // four times the same
			for i := col; i < col+n; i++ {
				var same [4]float32
				asmDotConverted(c, &same[0], 0, &w[r*rowBytes], 0, 1, steps, &acts[i*act], act, 1)
				out[i*outStride+r] = same[0]
			}
		}
		col += n
	}
	return true
}
