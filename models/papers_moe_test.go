package models_test

import "math"

// dots1Paper is dots.llm1: layer 0 is dense, the others have experts and two shared ones in one.
var dots1Paper = paperModel{"dots1", 16, 1, 1, func(p paper, i int, h []vector) {
	preNorm(1, func(p paper, xs []vector) []vector {
		return p.normedAttention(xs, func(x vector, pos int) { rope(x, pos, freqs(16, 10000), false, 1) })
	}, func(p paper, x vector) vector {
		if i == 0 {
			return denseSiLU(p, x)
		}
		y := times(2.5, p.sigmoidMoE(x))
		axpy(y, 1, p.mlp("_shexp", 0, silu, x))
		return y
	})(p, i, h)
}}

// phimoePaper is Phi-3.5-MoE, in a context beyond the one of LongRoPE's short factors.
var phimoePaper = paperModel{"phimoe", 16, 1, 1, func(p paper, _ int, h []vector) {
	f := freqs(16, 10000)
	for i, factor := range (paper{Source: p.Source}).get("rope_factors_long.weight") {
		f[i] /= factor
	}
	add(h, 1, p.plainAttention(p.each(func(x vector) vector { return p.layerNorm("attn_norm", x) }, h), 0.25,
		func(x vector, pos int) { rope(x, pos, f, false, 1.2) }))
	add(h, 1, p.each(func(x vector) vector { return p.sparseMixer(0.2, p.layerNorm("ffn_norm", x)) }, h))
}}

// layerNorm is layer normalization with the weights and biases called name.
func (p paper) layerNorm(name string, x vector) vector {
	var mean, square float64
	for _, v := range x {
		mean += v / float64(len(x))
	}
	for _, v := range x {
		square += (v - mean) * (v - mean) / float64(len(x))
	}
	w, b, y := p.get(name+".weight"), p.get(name+".bias"), make(vector, len(x))
	for i, v := range x {
		y[i] = (v-mean)/math.Sqrt(square+paperEps)*w[i] + b[i]
	}
	return y
}

// sparseMixer takes the two experts with the largest logits. Each weighs what it has in the softmax over those that are
// near it; for the second, the first is out.
func (p paper) sparseMixer(jitter float64, x vector) vector {
	scores, y := p.linear("ffn_gate_inp", 0, x), make(vector, len(x))
	for range 2 {
		best := 0
		for e, s := range scores {
			if s > scores[best] {
				best = e
			}
		}
		var sum float64
		for _, s := range scores {
			if (scores[best]-s)/max(math.Abs(s), scores[best]) <= 2*jitter {
				sum += math.Exp(s - scores[best])
			}
		}
		axpy(y, 1/sum, p.mlp("_exps", best, silu, x))
		scores[best] = math.Inf(-1)
	}
	return y
}
