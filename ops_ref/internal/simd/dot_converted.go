package simd

// Direct reports whether the level has a kernel for Dot with rows of k elements.
func (c Conversion) Direct(k int) bool { return hasDotConverted(c) && k >= c.Format().step() }

// Dot is what Convert and DotColumns do, for rows rows of k elements, rowBytes apart, and cols columns, without writing
// converted rows. It reports false if the level has no kernel for that, or a row of MXFP4 cannot be converted; out may
// then hold anything.
func (c Conversion) Dot(out []float32, outStride int, w []byte, rowBytes, rows int, acts []byte, cols, k int) bool {
	f := c.Format()
	size, act := k/f.Block()*conversions[c].bytes, f.ActBytes(k)
	if !c.Direct(k) {
		return false
	}
	if rows <= 0 || cols <= 0 || k <= 0 || k%f.Block() != 0 || rowBytes < size || len(w) < (rows-1)*rowBytes+size ||
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
	if rest := k % f.step(); rest != 0 { // of types with blocks of 32
		var blocks [3 * 34]byte
		for r := range rows {
			if !c.Convert(blocks[:f.Bytes(rest)], w[r*rowBytes:][size-rest/32*conversions[c].bytes:size]) {
				return false
			}
			for col := range cols {
				y := &out[col*outStride+r]
				*y = dotRow(f, *y, blocks[:f.Bytes(rest)], acts[col*act+f.ActBytes(k-rest):], 0)
			}
		}
	}
	if c == MXFP4 { // NaN, where activations are not the reason, stand for scales that float16 lacks
		for col := range cols {
			for _, y := range out[col*outStride:][:rows] {
				if y != y {
					return false
				}
			}
		}
	}
	return true
}
