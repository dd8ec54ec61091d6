//go:build amd64 && !noasm

package simd

// The functions of this file run a kernel and report whether there was one.

func asmUnary(u Unary, dst, x *float32, n int, p float32) bool {
	if level == Generic {
		return false
	}
	switch u {
	case Sigmoid:
		sigmoidAVX2(dst, x, n)
	case SiLU:
		siluAVX2(dst, x, n)
	case GELU:
		geluAVX2(dst, x, n)
	case Softcap:
		softcapAVX2(dst, x, n, p)
	case Scale:
		scaleAVX2(dst, x, n, p)
	}
	return true
}

func asmBinary(b Binary, dst, x, y *float32, n int, p, q float32) bool {
	if level == Generic {
		return false
	}
	switch b {
	case Add:
		addAVX2(dst, x, y, n)
	case Mul:
		mulAVX2(dst, x, y, n)
	case SwiGLU:
		swigluAVX2(dst, x, y, n)
	case GeGLU:
		gegluAVX2(dst, x, y, n)
	case SwiGLUClamped:
		swigluClampedAVX2(dst, x, y, n, p, q)
	case ScaleMul:
		scaleMulAVX2(dst, x, y, n, p)
	case AddScaled:
		addScaledAVX2(dst, x, y, n, p)
	}
	return true
}

func asmMulAdd(dst, x, y, z *float32, n int) bool {
	if level == Generic {
		return false
	}
	mulAddAVX2(dst, x, y, z, n)
	return true
}

func asmSumSquares(x *float32, eights int, sums *[8]float64) bool {
	if level == Generic {
		return false
	}
	sumSquaresAVX2(x, eights, &sums[0])
	return true
}

func asmMax(x *float32, eights int, lanes *[8]float32) bool {
	if level == Generic {
		return false
	}
	maxAVX2(x, eights, &lanes[0])
	return true
}

func asmExpSum(x *float32, eights int, m float32, lanes *[8]float32) bool {
	if level == Generic {
		return false
	}
	expSumAVX2(x, eights, m, &lanes[0])
	return true
}

func asmRotate(dst, x, cos, sin *float32, half, eights int) bool {
	if level == Generic {
		return false
	}
	rotateAVX2(dst, x, cos, sin, half, eights)
	return true
}

func asmNarrow(dst *byte, src *float32, eights int) bool {
	if level == Generic {
		return false
	}
	narrowF16AVX2(dst, src, eights)
	return true
}

func asmAddRows(t FloatType, dst *float32, steps int, rows *byte, rowBytes int, weights *float32, n int) bool {
	switch {
	case level == Generic:
		return false
	case level == AVX2 && t == F32:
		addRowsF32AVX2(dst, steps, rows, rowBytes, weights, n)
	case level == AVX2 && t == F16:
		addRowsF16AVX2(dst, steps, rows, rowBytes, weights, n)
	case level == AVX2:
		addRowsBF16AVX2(dst, steps, rows, rowBytes, weights, n)
	case t == F32:
		addRowsF32AVX512(dst, steps, rows, rowBytes, weights, n)
	case t == F16:
		addRowsF16AVX512(dst, steps, rows, rowBytes, weights, n)
	default:
		addRowsBF16AVX512(dst, steps, rows, rowBytes, weights, n)
	}
	return true
}

func asmDelta(state *float32, quads, steps int, t *Delta) bool {
	switch level {
	case AVX2:
		deltaStepAVX2(state, quads, steps, &t.Q[0], &t.K[0], &t.V[0], &t.O[0], t.Decay, t.Beta, t.Scale)
	case AVX512:
		deltaStepAVX512(state, quads, steps, &t.Q[0], &t.K[0], &t.V[0], &t.O[0], t.Decay, t.Beta, t.Scale)
	default:
		return false
	}
	return true
}

func asmScan(state *float32, quads, steps int, t *Scan) bool {
	switch level {
	case AVX2:
		scanStepAVX2(state, quads, steps, &t.C[0], &t.B[0], &t.U[0], &t.O[0], t.Decay)
	case AVX512:
		scanStepAVX512(state, quads, steps, &t.C[0], &t.B[0], &t.U[0], &t.O[0], t.Decay)
	default:
		return false
	}
	return true
}
