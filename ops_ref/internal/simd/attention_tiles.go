package simd

// Attention on tiles: scores and weighted sums are products of type F16, two planes of each factor, which lose nothing
// of keys and values in 16 bits. A panel of queries meets keys as columns, which gives scores as PanelScores does; a
// panel of values, of 32 of their elements, meets the weights of each query as a column.

// PackValues writes dim/FloatRows panels of type F16 of n values, [n][dim]; n and dim are multiples of 32.
func PackValues(panels []byte, values []float32, n, dim int) {
	if !HasFloatPanels(n) || dim <= 0 || dim%FloatRows != 0 || len(values) < n*dim ||
		len(panels) < dim/FloatRows*F16.PanelBytes(n) {
		panic("simd: wrong sizes of values")
	}
	for d := 0; d < dim; d += FloatRows / 2 {
		at := d/FloatRows*F16.PanelBytes(n) + d%FloatRows/16*planes[F16].weights*1024
		asmPackValues(&panels[at], &values[d], 4*dim, n/floatStep)
	}
}

// PackWeights writes weights, [n][PanelQueries], as columns for weights of type F16; n is a multiple of 32.
func PackWeights(columns []byte, weights []float32, n int) {
	if !HasFloatPanels(n) || len(weights) < n*PanelQueries || len(columns) < F16.ColumnsBytes(PanelQueries, n) {
		panic("simd: wrong sizes of weights")
	}
	asmPackWeights(&columns[0], &weights[0], n/floatStep)
}
