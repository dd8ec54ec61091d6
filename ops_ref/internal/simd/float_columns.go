package simd

// Products of floats with many columns, at levels that have a kernel for it. Columns lie in panels of TileColumns,
// [column/TileColumns][k/16][column%TileColumns][16]float32, so that a kernel reads one stream of them. The products
// are those of MulFloat, bit by bit: the partial sums of each are kept while parts of the elements pass.

// floatSums are the partial sums of a product.
const floatSums = 16

// columnChunk is how many elements of the columns of a panel pass all rows before the next: they stay in the first
// cache.
const columnChunk = 1024

// HasFloatColumns reports whether there is a kernel for products of rows of k floats with panels of columns.
func HasFloatColumns(k int) bool { return level == AVX512 && k > 0 && k%floatSums == 0 }

// FloatColumnsLen returns the number of elements of panels of cols columns of k elements.
func FloatColumnsLen(cols, k int) int {
	return (cols + TileColumns - 1) / TileColumns * TileColumns * k
}

// FloatSumsLen returns the number of elements in which MulFloatColumns keeps partial sums for so many rows.
func FloatSumsLen(rows int) int { return rows * TileColumns * floatSums }

// PackFloatColumn writes x as column c of panels and leaves the others alone. Columns that are never written may hold
// anything.
func PackFloatColumn(columns, x []float32, c int) {
	k := len(x)
	if k%floatSums != 0 || c < 0 || len(columns) < FloatColumnsLen(c+1, k) {
		panic("simd: wrong sizes to pack")
	}
	dst := columns[c/TileColumns*TileColumns*k+c%TileColumns*floatSums:]
	for ; len(x) >= floatSums; x = x[floatSums:] {
		*(*[floatSums]float32)(dst) = *(*[floatSums]float32)(x)
		if len(x) > floatSums {
			dst = dst[TileColumns*floatSums:]
		}
	}
}

// MulFloatColumns sets out[c*outStride+r] to the product of row r of w, of k elements, with column c, for rows rows, a
// multiple of 4, and cols columns. sums is memory of FloatSumsLen(rows) elements.
func MulFloatColumns(out []float32, outStride int, w Matrix, rows int, columns []float32, cols, k int,
	sums []float32) {
	if rows <= 0 || cols <= 0 {
		return
	}
	if rows%4 != 0 || !HasFloatColumns(k) || len(out) < (cols-1)*outStride+rows ||
		w.Stride < k*w.Type.Size() || len(w.Data) < (rows-1)*w.Stride+k*w.Type.Size() ||
		len(columns) < FloatColumnsLen(cols, k) || len(sums) < FloatSumsLen(rows) {
		panic("simd: wrong sizes of a product")
	}
	for c := 0; c < cols; c += TileColumns {
		x := columns[c*k:]
		if cols-c < TileColumns {
			floatEdge(out[c*outStride:], outStride, w, rows, x, cols-c, k, sums)
			return
		}
		floatPanel(out[c*outStride:], outStride, w, rows, x, k, sums)
	}
}

// floatPanel multiplies all rows with a panel of columns.
func floatPanel(out []float32, outStride int, w Matrix, rows int, x []float32, k int, sums []float32) {
	for first := 0; first < k; first += columnChunk {
		n, phase := min(columnChunk, k-first), 0
		if first == 0 {
			phase |= 1
		}
		if first+n == k {
			phase |= 2
		}
		asmFloatColumns(w.Type, &out[0], 4*outStride, &w.Data[first*w.Type.Size()], w.Stride, rows/4, n/floatSums, &x[first*TileColumns],
			&sums[0], phase)
	}
}

// floatEdge multiplies all rows with fewer columns than a panel has.
func floatEdge(out []float32, outStride int, w Matrix, rows int, x []float32, cols, k int, sums []float32) {
	const most = 16
	var tile [TileColumns * most]float32
	for r := 0; r < rows; r += most {
		n := min(most, rows-r)
		part := Matrix{w.Type, w.Data[r*w.Stride:], w.Stride}
		floatPanel(tile[:], most, part, n, x, k, sums)
		for c := range cols {
			copy(out[c*outStride+r:][:n], tile[c*most:])
		}
	}
}
