package models_test

import (
	"cmp"
	"math"
	"slices"
)

// lfm2moePaper is LFM 2 with experts: layers 0 and 2 are convolutions, those from 2 on have experts.
var lfm2moePaper = paperModel{"lfm2moe", 16, 1, 1, func(p paper, i int, h []vector) {
	xs := p.each(func(x vector) vector { return p.norm("attn_norm", x) }, h)
	if i%2 == 0 {
		add(h, 1, p.shortConv(xs))
	} else {
		add(h, 1, p.normedAttention(xs, func(x vector, pos int) { rope(x, pos, freqs(16, 10000), false, 1) }))
	}
	add(h, 1, p.each(func(x vector) vector {
		if x = p.norm("ffn_norm", x); i < 2 {
			return denseSiLU(p, x)
		}
		return p.sigmoidMoE(x)
	}, h))
}}

// shortConv is out(C ⊙ conv(B ⊙ x)) with B, C and x from one projection, and filters of three taps.
func (p paper) shortConv(xs []vector) (ys []vector) {
	in := p.each(func(x vector) vector { return p.linear("shortconv.in_proj", 0, x) }, xs)
	w, b := p.get("shortconv.conv.weight"), p.get("shortconv.conv.bias")
	for t := range in {
		n := len(xs[t])
		y := make(vector, n)
		for c := range y {
			y[c] = b[c]
			for tap := range 3 {
				if u := t + tap - 2; u >= 0 {
					y[c] += w[3*c+tap] * in[u][c] * in[u][2*n+c]
				}
			}
			y[c] *= in[t][n+c]
		}
		ys = append(ys, p.linear("shortconv.out_proj", 0, y))
	}
	return ys
}

// normedAttention is attention whose queries and keys are normalized head by head, before the rotation.
func (p paper) normedAttention(xs []vector, rotate func(x vector, pos int)) []vector {
	normed := func(n string) func(vector) vector {
		return func(x vector) (y vector) {
			for x = p.linear("attn_"+n, 0, x); len(x) > 0; x = x[p.dim:] {
				y = append(y, p.norm("attn_"+n+"_norm", x[:p.dim])...)
			}
			return y
		}
	}
	kv := keysValues{p.rotated(p.each(normed("k"), xs), rotate),
		p.each(func(x vector) vector { return p.linear("attn_v", 0, x) }, xs)}
	return p.attend(p.each(normed("q"), xs), kv, 1/math.Sqrt(float64(p.dim)), 0, rotate)
}

// sigmoidMoE takes the best two of five experts by sigmoid and bias, with weights that sum to one.
func (p paper) sigmoidMoE(x vector) vector {
	prob, bias := p.linear("ffn_gate_inp", 0, x), p.get("exp_probs_b.bias")
	order := []int{0, 1, 2, 3, 4}
	for i, v := range prob {
		prob[i] = 1 / (1 + math.Exp(-v))
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(prob[b]+bias[b], prob[a]+bias[a]) })
	y := make(vector, len(x))
	for _, e := range order[:2] {
		axpy(y, prob[e]/(prob[order[0]]+prob[order[1]]), p.mlp("_exps", e, silu, x))
	}
	return y
}
