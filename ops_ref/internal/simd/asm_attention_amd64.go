//go:build amd64 && !noasm

package simd

// The functions of this file run a kernel of attention and report whether there was one.

func hasQueryPanels() bool { return level != Generic }

func asmTranspose(panel, rows *float32, steps int) bool {
	if level == Generic {
		return false
	}
	transposeQueriesAVX2(panel, rows, steps)
	return true
}

func asmPanelScores(out, keys *float32, quads, steps int, panel *float32) bool {
	switch level {
	case AVX2:
		scorePanelAVX2(out, keys, quads, steps, panel)
	case AVX512:
		scorePanelAVX512(out, keys, quads, steps, panel)
	default:
		return false
	}
	return true
}

func asmSoftmax(s *float32, rows int, from, to *int32, scale float32, top, sum *float32) bool {
	switch level {
	case AVX2:
		softmaxPanelAVX2(s, rows, from, to, scale, top, sum)
	case AVX512:
		softmaxPanelAVX512(s, rows, from, to, scale, top, sum)
	default:
		return false
	}
	return true
}

func asmPanelValues(out *float32, steps int, values, weights *float32, n int) bool {
	switch level {
	case AVX2:
		panelValuesAVX2(out, steps, values, weights, n)
	case AVX512:
		panelValuesAVX512(out, steps, values, weights, n)
	default:
		return false
	}
	return true
}

func asmPanelValue(out *float32, steps int, values, weights *float32, n int) bool {
	if level == Generic {
		return false
	}
	addWeightedAVX2(out, steps, values, weights, n)
	return true
}

func asmMergeRows(dst, x, a, b *float32, rows, steps int) bool {
	if level == Generic {
		return false
	}
	mergeRowsAVX2(dst, x, a, b, rows, steps)
	return true
}

func asmWidenRows(t FloatType, dst *float32, src *byte, rowBytes, rows, steps int) bool {
	switch {
	case level == Generic:
		return false
	case level == AVX2 && t == F32:
		widenRowsF32AVX2(dst, src, rowBytes, rows, steps)
	case level == AVX2 && t == F16:
		widenRowsF16AVX2(dst, src, rowBytes, rows, steps)
	case level == AVX2:
		widenRowsBF16AVX2(dst, src, rowBytes, rows, steps)
	case t == F32:
		widenRowsF32AVX512(dst, src, rowBytes, rows, steps)
	case t == F16:
		widenRowsF16AVX512(dst, src, rowBytes, rows, steps)
	default:
		widenRowsBF16AVX512(dst, src, rowBytes, rows, steps)
	}
	return true
}

func asmRowScores(out *float32, outStride int, keys Matrix, quads int, h Heads, q *float32, next *byte) bool {
	w, outBytes, steps := &keys.Data[0], 4*outStride, h.Dim/panelSteps
	switch {
	case level == Generic:
		return false
	case level == AVX2 && keys.Type == F32:
		rowScoresF32AVX2(out, outBytes, w, keys.Stride, quads, h.Heads, h.Group, steps, q, next)
	case level == AVX2 && keys.Type == F16:
		rowScoresF16AVX2(out, outBytes, w, keys.Stride, quads, h.Heads, h.Group, steps, q, next)
	case level == AVX2:
		rowScoresBF16AVX2(out, outBytes, w, keys.Stride, quads, h.Heads, h.Group, steps, q, next)
	case keys.Type == F32:
		rowScoresF32AVX512(out, outBytes, w, keys.Stride, quads, h.Heads, h.Group, steps, q, next)
	case keys.Type == F16:
		rowScoresF16AVX512(out, outBytes, w, keys.Stride, quads, h.Heads, h.Group, steps, q, next)
	default:
		rowScoresBF16AVX512(out, outBytes, w, keys.Stride, quads, h.Heads, h.Group, steps, q, next)
	}
	return true
}

func asmRowValues(out *float32, values Matrix, n int, h Heads, weights *float32, stride int, next *byte) bool {
	w, steps := &values.Data[0], h.Dim/panelSteps
	switch {
	case level == Generic:
		return false
	case level == AVX2 && values.Type == F32:
		rowValuesF32AVX2(out, w, values.Stride, n, h.Heads, h.Group, steps, weights, 4*stride, next)
	case level == AVX2 && values.Type == F16:
		rowValuesF16AVX2(out, w, values.Stride, n, h.Heads, h.Group, steps, weights, 4*stride, next)
	case level == AVX2:
		rowValuesBF16AVX2(out, w, values.Stride, n, h.Heads, h.Group, steps, weights, 4*stride, next)
	case values.Type == F32:
		rowValuesF32AVX512(out, w, values.Stride, n, h.Heads, h.Group, steps, weights, 4*stride, next)
	case values.Type == F16:
		rowValuesF16AVX512(out, w, values.Stride, n, h.Heads, h.Group, steps, weights, 4*stride, next)
	default:
		rowValuesBF16AVX512(out, w, values.Stride, n, h.Heads, h.Group, steps, weights, 4*stride, next)
	}
	return true
}
