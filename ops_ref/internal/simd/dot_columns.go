package simd

// DotColumns sets out[c*outStride+r] to what Dot gives for row r of w and column c of acts, for rows rows and cols
// columns, which lie ActBytes(k) apart. The kernels take weights apart once for several columns.
func DotColumns(f Format, out []float32, outStride int, w []byte, rowBytes, rows int, acts []byte, cols, k int) {
	if rows <= 0 || cols <= 0 {
		return
	}
	size, act := k/f.Block()*layouts[f].bytes, f.ActBytes(k)
	if k <= 0 || k%f.Block() != 0 || rowBytes < size || len(w) < (rows-1)*rowBytes+size || len(acts) < cols*act ||
		len(out) < (cols-1)*outStride+rows {
		panic("simd: wrong sizes of a product")
	}
	for c := 0; c < cols; {
		n, done := 0, 0
		if rows >= 4 && k%f.step() == 0 {
			n = asmDotColumns(f, &out[c*outStride], 4*outStride, &w[0], rowBytes, rows/4, k/f.step(), &acts[c*act],
				act, cols-c)
		}
		if n > 0 {
			done = rows &^ 3
		}
		n = max(n, 1)
		for end := c + n; c < end; c++ {
			if done < rows {
				Dot(f, out[c*outStride+done:][:rows-done], w[done*rowBytes:], rowBytes, acts[c*act:], k)
			}
		}
	}
}
