package cpu

import (
	"math"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_ref/internal/scalar"
	"github.com/hipengine/hipengine/ops_ref/internal/simd"
	"github.com/hipengine/hipengine/tensor"
)

// ulp is half the distance of float32 numbers around 1, the largest relative rounding error.
const ulp = 0x1p-24

// slack returns the error that the arithmetic of a fast kernel may add to element j of result r. The reference sums in
// float64 and rounds once; fast kernels round after each operation, so that their bounds count operations.
func slack(d *ops.Def, c ops.Case, in operands, want result, r int) func(j int) float64 {
	x, y := in.floats[0], want[r]
	relative := func(ulps func(x float64) float64) func(j int) float64 {
		return func(j int) float64 { return ulps(math.Abs(float64(x[j]))) * ulp * math.Abs(y[j]) }
	}
	constant := func(e float64) func(j int) float64 { return func(int) float64 { return e } }
	switch d {
	case ops.MulMatOp:
		n := c.Args[1].Shape[0]
		return func(j int) float64 {
			return dotSlack(c.Args[1].DType, x, in.floats[1], j/n, j%n, c.Args[1].Shape[1])
		}
	case ops.MulMatExpertsOp, ops.MulMatSomeExpertsOp:
		k, n, dim := c.Args[2].Shape[1], c.Args[1].Shape[1], c.Args[1].Shape[2]
		return func(j int) float64 {
			u := j / n
			if c.Args[2].Ints[u] < 0 { // nothing is multiplied
				return 0
			}
			row := int(c.Args[2].Ints[u])*n + j%n
			if c.Args[0].Shape[1] == 1 {
				u /= k
			}
			return dotSlack(c.Args[1].DType, x, in.floats[1], u, row, dim)
		}
	case ops.LayerNormOp: // half a unit each: the difference from the mean, the factor, and two products
		return relative(func(float64) float64 { return 2 })
	case ops.WeightedSumOp:
		k := float64(c.Args[0].Shape[1])
		return constant(k * ulp * k * largest(x) * largest(in.floats[1]))
	case ops.SigmoidOp, ops.SiLUOp, ops.GatedRMSNormOp, ops.SwiGLUOp,
		ops.SoftcapOp: // as simd's tests say, and a product
		return relative(func(float64) float64 { return 8 })
	case ops.GELUOp, ops.GeGLUOp, ops.GELUErfOp: // the exponential turns its argument's absolute error into a relative one
		return relative(func(v float64) float64 { return 8 + 4*1.6*(v+v*v*v) })
	case ops.SwiGLUClampedOp:
		return relative(func(v float64) float64 { return 12 + 2*1.702*v })
	case ops.CausalConvOp:
		taps := float64(c.Args[2].Shape[1])
		return constant(taps * ulp * taps * largest(in.floats[2]) * math.Max(largest(x), largest(in.floats[1])))
	case ops.AttentionOp:
		return constant(attentionSlack(c, in, c.Attrs.(ops.AttentionAttrs).Scale, 2, c.Args[3].Ints))
	case ops.LatentAttentionOp:
		return constant(attentionSlack(c, in, c.Attrs.(ops.LatentAttentionAttrs).Scale, 1, c.Args[2].Ints))
	case ops.BidirectionalAttentionOp:
		last := []int32{int32(c.Args[0].Shape[0]) - 1}
		return constant(attentionSlack(c, in, c.Attrs.(ops.BidirectionalAttentionAttrs).Scale, 2, last))
	case ops.GatedDeltaNetOp:
		return constant(deltaSlack(c, in, want, r))
	case ops.SSMScanOp:
		return constant(scanSlack(c, in, want, r))
	}
	return constant(0)
}

// largest returns the largest magnitude in x.
func largest(x []float32) (m float64) {
	for _, v := range x {
		m = math.Max(m, math.Abs(float64(v)))
	}
	return m
}

// norms returns the largest sum of magnitudes, and the largest Euclidean length, of rows of n.
func norms(x []float32, n int) (sum, length float64) {
	for ; len(x) > 0; x = x[n:] {
		var s, q float64
		for _, v := range x[:n] {
			s += math.Abs(float64(v))
			q += float64(v) * float64(v)
		}
		sum, length = math.Max(sum, s), math.Max(length, math.Sqrt(q))
	}
	return sum, length
}

// attentionSlack bounds the error of attention. A score is a product of dk terms and a few roundings of its own size;
// an error δ of scores changes weights by a factor of 1±2δ; the values are averaged with one rounding for each key. On
// tiles factors have 16 bits. values is the operand that holds them.
func attentionSlack(c ops.Case, in operands, scale float32, values int, positions []int32) float64 {
	dk := c.Args[0].Shape[2]
	_, q := norms(in.floats[0], dk)
	_, k := norms(in.floats[1], dk)
	keys := 0.0
	for _, p := range positions {
		keys = math.Max(keys, float64(p+1))
	}
	score := math.Abs(float64(scale)) * q * k
	factor := 0.0
	if simd.RoundsColumns() && c.Args[1].DType != tensor.F32 {
		factor = 0x1p-17
	}
	return largest(in.floats[values]) * (2*(float64(dk/16+8)*ulp+factor)*score + (keys+16)*ulp + factor)
}

// deltaSlack bounds the error of the recurrence: each token adds the rounding of a product of dk terms of the state,
// and of writing; the recurrence itself shrinks errors, since keys are shorter than 1 and gates negative.
func deltaSlack(c ops.Case, in operands, want result, r int) float64 {
	dk, tokens := c.Args[0].Shape[2], c.Args[0].Shape[0]
	q, _ := norms(in.floats[0], dk)
	k, _ := norms(in.floats[1], dk)
	s := largest(in.floats[5])
	for _, v := range want[1] {
		s = math.Max(s, math.Abs(v))
	}
	top := largest(in.floats[1])
	state := float64(tokens) * ulp * (3*s + float64(dk/16+8)*(s*k+largest(in.floats[2]))*top)
	if r == 1 {
		return state
	}
	scale := float64(c.Attrs.(ops.GatedDeltaNetAttrs).Scale)
	return scale * q * (state + float64(dk/16+6)*ulp*s)
}

// scanSlack bounds the error of a scan: each token rounds the decay, its product with the state, and three products of
// what is written; decays are below 1, so that errors shrink. A product with C has as many terms as a row.
func scanSlack(c ops.Case, in operands, want result, r int) float64 {
	ds, tokens := float64(c.Args[5].Shape[3]), float64(c.Args[0].Shape[0])
	x, delta := largest(in.floats[0]), scalar.Softplus(largest(in.floats[1])+largest(in.floats[2]))
	s := largest(in.floats[5])
	for _, v := range want[1] {
		s = math.Max(s, math.Abs(v))
	}
	state := tokens * ulp * (3*s + 4*delta*x*x)
	if r == 1 {
		return state
	}
	return ds*x*(state+(ds/16+6)*ulp*s) + 3*ulp*largest(in.floats[4])*x
}

// dotSlack bounds the error of the product of token t and row o, both of k elements. Quantizing moves each activation
// by up to half a step, 1/254 of the largest of its block. Float32 sums round once per element of a lane, and for
// quantized weights a few times per block.
func dotSlack(dt tensor.DType, x, w []float32, t, o, k int) float64 {
	f, quantized := integerFormats[dt]
	if c, ok := conversions[dt]; ok {
		f, quantized = c.Format(), true
	}
	var moved, size float64
	for i := range k {
		w, x := math.Abs(float64(w[o*k+i])), math.Abs(float64(x[t*k+i]))
		size += w * x
	}
	if quantized {
		for b := 0; b < k; b += f.Block() {
			var m, sum float64
			for i := b; i < b+f.Block(); i++ {
				m = math.Max(m, math.Abs(float64(x[t*k+i])))
				sum += math.Abs(float64(w[o*k+i]))
			}
			moved += m / 254 * sum
		}
		// Weights of affine types are the difference of two parts, of which each is below 16 times the result's range.
		return moved*(1+1e-5) + float64(k/f.Block()+5)*ulp*16*size
	}
	moved = 0
	if simd.RoundsColumns() && (dt == tensor.F16 || dt == tensor.BF16) { // activations of 16 bits
		moved = 0x1p-17 * size
	}
	return moved + float64(k/16+5)*ulp*size
}
