package simd

import "math"

// PanelQueries is the number of queries of a panel. A panel holds one element of each of them side by side: what
// kernels compute for one query happens in one lane of a vector, so that nothing has to be added across lanes.
const PanelQueries = 32

// ValueQueries is the number of queries of a panel that PanelValues takes.
const ValueQueries = 8

// The units in which kernels count.
const (
	panelSteps = 16 // elements of queries, keys and values
	panelKeys  = 8  // rows of scores that Softmax computes
	scoreKeys  = 4  // rows of keys that Scores reads
)

// HasQueryPanels reports whether the level has kernels for panels of queries. Without them the functions here are
// slower than RowScores and RowValues.
func HasQueryPanels() bool { return hasQueryPanels() }

// PackQueries writes 32 rows of dim elements, one behind the other, as a panel: element d of row i is panel[32*d+i].
// dim is a multiple of 16.
func PackQueries(panel, rows []float32, dim int) {
	checkSteps(dim)
	if len(panel) < PanelQueries*dim || len(rows) < PanelQueries*dim {
		panic("simd: wrong size of a panel")
	}
	if asmTranspose(&panel[0], &rows[0], dim/panelSteps) {
		return
	}
	for i := range PanelQueries {
		for d, v := range rows[i*dim:][:dim] {
			panel[PanelQueries*d+i] = v
		}
	}
}

// PanelScores sets row j of out, [n][32], to the products of row j of keys, n rows of dim elements one behind the
// other, with the queries of a panel. Both out and keys have room for n rounded up to a multiple of 4, and may be
// written and read up to there. Each product is that of MulFloat. dim is a multiple of 16.
func PanelScores(out, keys []float32, n, dim int, panel []float32) {
	checkSteps(dim)
	quads := (n + scoreKeys - 1) / scoreKeys
	if quads == 0 {
		return
	}
	if len(out) < quads*scoreKeys*PanelQueries || len(keys) < quads*scoreKeys*dim || len(panel) < PanelQueries*dim {
		panic("simd: wrong sizes of scores")
	}
	if asmPanelScores(&out[0], &keys[0], quads, dim/panelSteps, &panel[0]) {
		return
	}
	x := make([]float32, dim)
	for i := range PanelQueries {
		for d := range x {
			x[d] = panel[PanelQueries*d+i]
		}
		for j := range n {
			out[j*PanelQueries+i] = dot(keys[j*dim:][:dim], x)
		}
	}
}

// Softmax turns scores, [n][32], into weights: see softmaxColumn. Column i sees rows from[i] to to[i]-1, with to[i] at
// most n; top and sum, of 32 elements like from and to, get its largest scaled score and its sum of weights, which are
// undefined if it sees no row. s has room for n rounded up to a multiple of 8 rows, which are written up to there.
func Softmax(s []float32, n int, from, to []int32, scale float32, top, sum []float32) {
	rows := (n + panelKeys - 1) / panelKeys * panelKeys
	if rows == 0 {
		return
	}
	if len(s) < rows*PanelQueries || min(len(from), len(to), len(top), len(sum)) < PanelQueries {
		panic("simd: wrong sizes of a softmax")
	}
	if asmSoftmax(&s[0], rows, &from[0], &to[0], scale, &top[0], &sum[0]) {
		return
	}
	for i := range PanelQueries {
		top[i], sum[i] = softmaxColumn(s[i:], rows, int(from[i]), int(to[i]), scale)
	}
}

// softmaxColumn is the definition of Softmax for one column: scores, scaled and rounded, of rows from to to-1 become
// exp32(score-top) and the others 0. Row j is added to partial sum j mod 8, and the sums are added as in ExpSum.
func softmaxColumn(s []float32, n, from, to int, scale float32) (top, sum float32) {
	top = float32(math.Inf(-1))
	for j := from; j < to; j++ {
		s[j*PanelQueries] *= scale
		top = max32(s[j*PanelQueries], top)
	}
	var part [8]float32
	for j := range n {
		x := &s[j*PanelQueries]
		if j < from || j >= to {
			*x = float32(math.Inf(-1))
		}
		*x = exp32(*x - top)
		part[j%8] += *x
	}
	return top, eightSum(&part)
}

// eightSum adds partial sums.
func eightSum(s *[8]float32) float32 {
	return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]))
}

// PanelValues adds weighted sums of rows of values to eight rows of out, [8][dim]: row i gets n rows of values,
// [n][dim], with weights weights[32*j+i], as AddRows does. dim is a multiple of 16.
func PanelValues(out, values, weights []float32, n, dim int) {
	checkSteps(dim)
	if n <= 0 {
		return
	}
	if len(out) < ValueQueries*dim || len(values) < n*dim || len(weights) < (n-1)*PanelQueries+ValueQueries {
		panic("simd: wrong sizes of weighted values")
	}
	if asmPanelValues(&out[0], dim/panelSteps, &values[0], &weights[0], n) {
		return
	}
	for i := range ValueQueries {
		PanelValue(out[i*dim:][:dim], values, weights[i:], n)
	}
}

// PanelValue is PanelValues for the first of the eight queries alone.
func PanelValue(out, values, weights []float32, n int) {
	dim := len(out)
	checkSteps(dim)
	if n <= 0 {
		return
	}
	if len(values) < n*dim || len(weights) < (n-1)*PanelQueries+1 {
		panic("simd: wrong sizes of weighted values")
	}
	if asmPanelValue(&out[0], dim/panelSteps, &values[0], &weights[0], n) {
		return
	}
	for j := range n {
		for d, v := range values[j*dim:][:dim] {
			out[d] = fma(weights[j*PanelQueries], v, out[d])
		}
	}
}

// MergeRows sets row r of dst, [len(a)][dim], to a[r] times itself plus b[r] times row r of x: see mergeRow. dim is a
// multiple of 16.
func MergeRows(dst, x, a, b []float32, dim int) {
	checkSteps(dim)
	n := len(a)
	if n == 0 {
		return
	}
	if len(dst) < n*dim || len(x) < n*dim || len(b) < n {
		panic("simd: wrong sizes of rows to merge")
	}
	if asmMergeRows(&dst[0], &x[0], &a[0], &b[0], n, dim/panelSteps) {
		return
	}
	for r := range n {
		mergeRow(dst[r*dim:][:dim], x[r*dim:], a[r], b[r])
	}
}

// mergeRow is the definition of MergeRows: the first product is rounded.
func mergeRow(dst, x []float32, a, b float32) {
	for d := range dst {
		dst[d] = fma(x[d], b, float32(dst[d]*a))
	}
}

// WidenRows converts n rows of dim elements to float32 in dst, one behind the other. dim is a multiple of 16.
func WidenRows(dst []float32, m Matrix, n, dim int) {
	checkSteps(dim)
	if n <= 0 {
		return
	}
	m.check(n, dim)
	if len(dst) < n*dim {
		panic("simd: wrong sizes of rows to convert")
	}
	if asmWidenRows(m.Type, &dst[0], &m.Data[0], m.Stride, n, dim/panelSteps) {
		return
	}
	for r := range n {
		for d := range dim {
			dst[r*dim+d] = elem(m.Type, m.Data[r*m.Stride:], d)
		}
	}
}

// check panics unless m has n rows of dim elements.
func (m Matrix) check(n, dim int) {
	if m.Stride < 0 || len(m.Data) < (n-1)*m.Stride+dim*m.Type.Size() {
		panic("simd: too few rows")
	}
}

// checkSteps panics unless dim is a size that kernels take.
func checkSteps(dim int) {
	if dim <= 0 || dim%panelSteps != 0 {
		panic("simd: elements of a head are no multiple of 16")
	}
}

// Heads is the shape of rows of a cache: each has Heads heads of Dim elements, one behind the other, and each head is
// met by Group queries. Queries, and results for them, are in the order of heads.
type Heads struct{ Heads, Group, Dim int }

// RowScores sets out[u*outStride+j] to the product of row j of keys with query u, for n rows and all queries, which
// lie one behind the other in q. Each product is that of MulFloat. n is rounded up to a multiple of 4: keys has that
// many rows, and results have room for them. next is what the caller will read next, so that it can be fetched; it
// may be empty. Dim is a multiple of 16.
func RowScores(out []float32, outStride int, keys Matrix, n int, h Heads, q []float32, next []byte) {
	checkSteps(h.Dim)
	quads, all := (n+scoreKeys-1)/scoreKeys, h.Heads*h.Group
	if quads == 0 || all == 0 {
		return
	}
	n = quads * scoreKeys
	keys.check(n, h.Heads*h.Dim)
	if len(out) < (all-1)*outStride+n || len(q) < all*h.Dim {
		panic("simd: wrong sizes of scores")
	}
	if len(next) == 0 {
		next = keys.Data
	}
	if asmRowScores(&out[0], outStride, keys, quads, h, &q[0], &next[0]) {
		return
	}
	for i := range h.Heads {
		head := keys
		head.Data = keys.Data[i*h.Dim*keys.Type.Size():]
		MulFloat(out[i*h.Group*outStride:], outStride, head, n, q[i*h.Group*h.Dim:], h.Dim, h.Group, h.Dim)
	}
}

// RowValues adds weighted sums of n rows of values to results, which lie one behind the other in out: result u gets
// row j with weight weights[u*stride+j], as AddRows adds it. next is as for RowScores. Dim is a multiple of 16.
func RowValues(out []float32, values Matrix, n int, h Heads, weights []float32, stride int, next []byte) {
	checkSteps(h.Dim)
	all := h.Heads * h.Group
	if n <= 0 || all == 0 {
		return
	}
	values.check(n, h.Heads*h.Dim)
	if len(out) < all*h.Dim || len(weights) < (all-1)*stride+n {
		panic("simd: wrong sizes of weighted values")
	}
	if len(next) == 0 {
		next = values.Data
	}
	if asmRowValues(&out[0], values, n, h, &weights[0], stride, &next[0]) {
		return
	}
	for u := range all {
		head := values
		head.Data = values.Data[u/h.Group*h.Dim*values.Type.Size():]
		AddRows(out[u*h.Dim:][:h.Dim], head, weights[u*stride:][:n])
	}
}
