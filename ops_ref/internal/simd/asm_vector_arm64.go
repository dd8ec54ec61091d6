//go:build arm64 && !noasm

package simd

// The functions of this file run a kernel and report whether there was one.

func asmUnary(u Unary, dst, x *float32, n int, p float32) bool {
	if level == Generic {
		return false
	}
	switch u {
	case Sigmoid:
		sigmoidNEON(dst, x, n)
	case SiLU:
		siluNEON(dst, x, n)
	case GELU:
		geluNEON(dst, x, n)
	case Softcap:
		softcapNEON(dst, x, n, p)
	case Scale:
		scaleNEON(dst, x, n, p)
	}
	return true
}

func asmBinary(b Binary, dst, x, y *float32, n int, p, q float32) bool {
	if level == Generic {
		return false
	}
	switch b {
	case Add:
		addNEON(dst, x, y, n)
	case Mul:
		mulNEON(dst, x, y, n)
	case SwiGLU:
		swigluNEON(dst, x, y, n)
	case GeGLU:
		gegluNEON(dst, x, y, n)
	case SwiGLUClamped:
		swigluClampedNEON(dst, x, y, n, p, q)
	case ScaleMul:
		scaleMulNEON(dst, x, y, n, p)
	case AddScaled:
		addScaledNEON(dst, x, y, n, p)
	}
	return true
}

func asmMulAdd(dst, x, y, z *float32, n int) bool {
	if level == Generic {
		return false
	}
	mulAddNEON(dst, x, y, z, n)
	return true
}

func asmSumSquares(x *float32, eights int, sums *[8]float64) bool {
	if level == Generic {
		return false
	}
	sumSquaresNEON(x, eights, &sums[0])
	return true
}

func asmMax(x *float32, eights int, lanes *[8]float32) bool {
	if level == Generic {
		return false
	}
	maxNEON(x, eights, &lanes[0])
	return true
}

func asmExpSum(x *float32, eights int, m float32, lanes *[8]float32) bool {
	if level == Generic {
		return false
	}
	expSumNEON(x, eights, m, &lanes[0])
	return true
}

func asmRotate(dst, x, cos, sin *float32, half, eights int) bool {
	if level == Generic {
		return false
	}
	rotateNEON(dst, x, cos, sin, half, eights)
	return true
}

func asmNarrow(dst *byte, src *float32, eights int) bool {
	if level == Generic {
		return false
	}
	narrowF16NEON(dst, src, eights)
	return true
}

func asmAddRows(t FloatType, dst *float32, steps int, rows *byte, rowBytes int, weights *float32, n int) bool {
	switch {
	case level == Generic:
		return false
	case t == F32:
		addRowsF32NEON(dst, steps, rows, rowBytes, weights, n)
	case t == F16:
		addRowsF16NEON(dst, steps, rows, rowBytes, weights, n)
	default:
		addRowsBF16NEON(dst, steps, rows, rowBytes, weights, n)
	}
	return true
}

func asmDelta(state *float32, quads, steps int, t *Delta) bool {
	if level == Generic {
		return false
	}
	deltaStepNEON(state, quads, steps, &t.Q[0], &t.K[0], &t.V[0], &t.O[0], t.Decay, t.Beta, t.Scale)
	return true
}

func asmScan(state *float32, quads, steps int, t *Scan) bool {
	if level == Generic {
		return false
	}
	scanStepNEON(state, quads, steps, &t.C[0], &t.B[0], &t.U[0], &t.O[0], t.Decay)
	return true
}
