package models_test

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/internal/logits"
	"github.com/hipengine/hipengine/internal/tiny"
	"github.com/hipengine/hipengine/tensor"
)

// paper is a model written out in float64 over single vectors, as papers describe models: no graph, no cache, no
// batch. It has the sizes of package tiny's models.
type paper struct {
	*tiny.Source
	prefix string
	dim    int // of a head
}

const (
	paperHeads = 4
	paperEps   = 1e-6
)

type vector = []float64

// get returns a tensor, nil if it is missing.
func (p paper) get(name string) vector {
	info, ok := p.Infos[p.prefix+name]
	if !ok {
		return nil
	}
	x := make([]float32, info.Shape.Elems())
	f, _ := tensor.F32.Format()
	f.Dequant(x, p.Data[p.prefix+name])
	out := make(vector, len(x))
	for i, v := range x {
		out[i] = float64(v)
	}
	return out
}

// linear is W·x + b with matrix e of a stack.
func (p paper) linear(name string, e int, x vector) vector {
	w, b := p.get(name+".weight"), p.get(name+".bias")
	shape := p.Infos[p.prefix+name+".weight"].Shape
	n := shape[len(shape)-2]
	y := make(vector, n)
	for o := range y {
		for i, v := range x {
			y[o] += w[(e*n+o)*len(x)+i] * v
		}
		if b != nil {
			y[o] += b[e*n+o]
		}
	}
	return y
}

// norm is RMSNorm with the weights called name, or without any.
func (p paper) norm(name string, x vector) vector {
	var sum float64
	for _, v := range x {
		sum += v * v
	}
	w := p.get(name + ".weight")
	y := make(vector, len(x))
	for i, v := range x {
		y[i] = v / math.Sqrt(sum/float64(len(x))+paperEps)
		if w != nil {
			y[i] *= w[i]
		}
	}
	return y
}

func (p paper) each(f func(x vector) vector, xs []vector) (ys []vector) {
	for _, x := range xs {
		ys = append(ys, f(x))
	}
	return ys
}

func silu(x float64) float64 { return x / (1 + math.Exp(-x)) }
func gelu(x float64) float64 {
	return 0.5 * x * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
}

// mlp is down(act(gate·x) ⊙ up·x).
func (p paper) mlp(suffix string, e int, act func(float64) float64, x vector) vector {
	y := p.linear("ffn_gate"+suffix, e, x)
	for i, u := range p.linear("ffn_up"+suffix, e, x) {
		y[i] = act(y[i]) * u
	}
	return p.linear("ffn_down"+suffix, e, y)
}

// moe is a mixture of the best two of five experts, by the softmax over all.
func (p paper) moe(renormalize bool, x vector) vector {
	prob := p.linear("ffn_gate_inp", 0, x)
	var sum float64
	for i, v := range prob {
		prob[i] = math.Exp(v)
		sum += prob[i]
	}
	order := []int{0, 1, 2, 3, 4}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Compare(prob[b], prob[a])
	})
	if renormalize {
		sum = prob[order[0]] + prob[order[1]]
	}
	y := make(vector, len(x))
	for _, e := range order[:2] {
		axpy(y, prob[e]/sum, p.mlp("_exps", e, silu, x))
	}
	return y
}

func axpy(y vector, a float64, x vector) {
	for i, v := range x {
		y[i] += a * v
	}
}

// rope rotates the first 2·len(freqs) elements of a head.
func rope(x vector, pos int, freqs vector, interleaved bool, mscale float64) {
	n := len(freqs)
	for i, f := range freqs {
		a, b := i, i+n
		if interleaved {
			a, b = 2*i, 2*i+1
		}
		sin, cos := math.Sincos(float64(pos) * f)
		x[a], x[b] = mscale*(x[a]*cos-x[b]*sin), mscale*(x[a]*sin+x[b]*cos)
	}
}

// freqs are base^(-2i/n).
func freqs(n int, base float64) vector {
	out := make(vector, n/2)
	for i := range out {
		out[i] = math.Pow(base, -2*float64(i)/float64(n))
	}
	return out
}

// yarn are the frequencies of YaRN with factor 16 over 16 tokens.
func yarn(n int, base float64) vector {
	pair := func(turns float64) float64 {
		return float64(n) * math.Log(16/(2*math.Pi*turns)) / (2 * math.Log(base))
	}
	lo, hi := max(math.Floor(pair(32)), 0), min(math.Ceil(pair(1)), float64(n-1))
	out := freqs(n, base)
	for i, f := range out {
		keep := 1 - min(max((float64(i)-lo)/max(0.001, hi-lo), 0), 1)
		out[i] = f*keep + f/16*(1-keep)
	}
	return out
}

// keysValues are the keys and values of all tokens, heads after each other.
type keysValues struct{ k, v []vector }

// attend is causal attention of q over kv, where rotate is applied to every head of the queries.
func (p paper) attend(qs []vector, kv keysValues, scale float64, window int,
	rotate func(x vector, pos int)) (out []vector) {
	group := paperHeads * p.dim / len(kv.k[0])
	for t, q := range qs {
		o := make(vector, len(q))
		for h := range paperHeads {
			qh, at := q[h*p.dim:(h+1)*p.dim], h/group*p.dim
			rotate(qh, t)
			var sum float64
			for j := 0; j <= t; j++ {
				if window > 0 && t-j >= window {
					continue
				}
				var dot float64
				for i, x := range qh {
					dot += x * kv.k[j][at+i]
				}
				e := math.Exp(scale * dot)
				sum += e
				axpy(o[h*p.dim:(h+1)*p.dim], e, kv.v[j][at:at+p.dim])
			}
			for i := range p.dim {
				o[h*p.dim+i] /= sum
			}
		}
		out = append(out, p.linear("attn_output", 0, o))
	}
	return out
}

// rotated applies rotate to every head of keys, in place.
func (p paper) rotated(ks []vector, rotate func(x vector, pos int)) []vector {
	for t, k := range ks {
		for h := 0; h < len(k); h += p.dim {
			rotate(k[h:h+p.dim], t)
		}
	}
	return ks
}

// plainAttention has nothing but a rotation.
func (p paper) plainAttention(xs []vector, scale float64, rotate func(x vector, pos int)) []vector {
	name := func(n string) func(vector) vector {
		return func(x vector) vector { return p.linear(n, 0, x) }
	}
	kv := keysValues{p.rotated(p.each(name("attn_k"), xs), rotate), p.each(name("attn_v"), xs)}
	return p.attend(p.each(name("attn_q"), xs), kv, scale, 0, rotate)
}

// add adds a·y to h, row by row.
func add(h []vector, a float64, y []vector) {
	for t := range h {
		axpy(h[t], a, y[t])
	}
}

// paperModel is one layer of an architecture, and the factors around the layers.
type paperModel struct {
	arch         string
	dim          int
	embd, logits float64
	layer        func(p paper, i int, h []vector) // updates the residual stream
}

// preNorm is a layer h += a·attention(norm(h)), h += a·ffn(norm(h)).
func preNorm(a float64, attention func(p paper, xs []vector) []vector, ffn func(p paper, x vector) vector) func(paper,
	int, []vector) {
	return func(p paper, _ int, h []vector) {
		add(h, a, attention(p, p.each(func(x vector) vector { return p.norm("attn_norm", x) }, h)))
		add(h, a, p.each(func(x vector) vector { return ffn(p, p.norm("ffn_norm", x)) }, h))
	}
}

func denseSiLU(p paper, x vector) vector { return p.mlp("", 0, silu, x) }

// interleaved16 rotates all of a head of 16.
func interleaved16(x vector, pos int) { rope(x, pos, freqs(16, 10000), true, 1) }

// paperModels are the architectures that no fixture of PyTorch covers, and what the fixtures leave out.
var paperModels = []paperModel{
	{"mistral3", 32, 1, 1, preNorm(1, func(p paper, xs []vector) []vector {
		// get(factor, 1) / get(factor, multiplier 1) is 1: no factor on cosine and sine.
		rotate := func(x vector, pos int) { rope(x, pos, yarn(32, 10000), true, 1) }
		kv := keysValues{p.rotated(p.each(func(x vector) vector { return p.linear("attn_k", 0, x) }, xs), rotate),
			p.each(func(x vector) vector { return p.linear("attn_v", 0, x) }, xs)}
		qs := p.each(func(x vector) vector { return p.linear("attn_q", 0, x) }, xs)
		return p.attend(qs, kv, 1/math.Sqrt(32), 0, func(x vector, pos int) {
			rotate(x, pos)
			copy(x, times(1+0.1*math.Log(1+math.Floor(float64(pos)/16)), x))
		})
	}, denseSiLU)},
	{"granite", 16, 12, 1. / 8, preNorm(0.22, func(p paper, xs []vector) []vector {
		return p.plainAttention(xs, 0.1, interleaved16)
	}, denseSiLU)},
	{"granitemoe", 16, 12, 1. / 8, preNorm(0.22, func(p paper, xs []vector) []vector {
		return p.plainAttention(xs, 0.1, interleaved16)
	}, func(p paper, x vector) vector {
		y := p.moe(true, x)
		axpy(y, 1, p.mlp("_shexp", 0, silu, x))
		return y
	})},
	{"qwen2moe", 16, 1, 1, preNorm(1, func(p paper, xs []vector) []vector {
		return p.plainAttention(xs, 0.25, func(x vector, pos int) { rope(x, pos, freqs(16, 10000), false, 1) })
	}, func(p paper, x vector) vector {
		y := p.moe(false, x)
		gate := p.linear("ffn_gate_inp_shexp", 0, x)[0]
		axpy(y, 1/(1+math.Exp(-gate)), p.mlp("_shexp", 0, silu, x))
		return y
	})},
	{"ernie4_5-moe", 16, 1, 1, func(p paper, i int, h []vector) {
		preNorm(1, func(p paper, xs []vector) []vector {
			return p.plainAttention(xs, 0.25, interleaved16)
		}, func(p paper, x vector) vector {
			if i == 0 { // the leading layer is dense
				return denseSiLU(p, x)
			}
			y := p.moe(true, x)
			axpy(y, 1, p.mlp("_shexp", 0, silu, x))
			return y
		})(p, i, h)
	}},
	{"glm4", 32, 1, 1, func(p paper, _ int, h []vector) {
		half := func(x vector, pos int) { rope(x, pos, freqs(16, 10000), true, 1) }
		y := p.plainAttention(p.each(func(x vector) vector { return p.norm("attn_norm", x) }, h), 1/math.Sqrt(32),
			half)
		add(h, 1, p.each(func(x vector) vector { return p.norm("post_attention_norm", x) }, y))
		add(h, 1, p.each(func(x vector) vector { return p.norm("post_ffw_norm", denseSiLU(p, p.norm("ffn_norm", x))) },
			h))
	}},
	{"olmo2", 32, 1, 1, func(p paper, _ int, h []vector) {
		p.olmo(h, 0, func(x vector, pos int) { rope(x, pos, freqs(32, 10000), false, 1) })
	}},
	{"olmo2/window", 32, 1, 1, func(p paper, i int, h []vector) {
		if i == 3 { // the last of four is full
			p.olmo(h, 0, func(x vector, pos int) { rope(x, pos, yarn(32, 10000), false, 1+0.1*math.Log(16)) })
		} else {
			p.olmo(h, 5, func(x vector, pos int) { rope(x, pos, freqs(32, 10000), false, 1) })
		}
	}},
}

// olmo is a layer of OLMo 2 and 3.
func (p paper) olmo(h []vector, window int, rotate func(x vector, pos int)) {
	normed := func(n string) func(vector) vector {
		return func(x vector) vector { return p.norm("attn_"+n+"_norm", p.linear("attn_"+n, 0, x)) }
	}
	kv := keysValues{p.rotated(p.each(normed("k"), h), rotate),
		p.each(func(x vector) vector { return p.linear("attn_v", 0, x) }, h)}
	y := p.attend(p.each(normed("q"), h), kv, 1/math.Sqrt(32), window, rotate)
	add(h, 1, p.each(func(x vector) vector { return p.norm("post_attention_norm", x) }, y))
	add(h, 1, p.each(func(x vector) vector { return p.norm("post_ffw_norm", denseSiLU(p, x)) }, h))
}

// times returns a·x.
func times(a float64, x vector) vector {
	y := make(vector, len(x))
	axpy(y, a, x)
	return y
}

// gemma4Paper is Gemma 4 with shared keys and values, inputs for each layer, and values that are keys in layer 1.
func gemma4Paper(tokens []vector) paperModel {
	all := map[int]keysValues{}
	var first []vector
	return paperModel{"gemma4", 0, 8, 1, func(p paper, i int, h []vector) {
		if i == 0 {
			first = p.each(func(x vector) vector { return times(1, x) }, h)
		}
		full, from := i == 1 || i == 5, i
		window, rotate := 5, func(x vector, pos int) { rope(x, pos, freqs(16, 10000), false, 1) }
		if p.dim = 16; full {
			p.dim, window = 32, 0
			factors := paper{Source: p.Source}.get("rope_freqs.weight")
			rotate = func(x vector, pos int) {
				f := freqs(32, 10000)
				for i := range f {
					f[i] /= factors[i]
				}
				rope(x, pos, f, false, 1)
			}
		}
		if i >= 4 { // the last two layers share
			from = map[bool]int{false: 3, true: 1}[full]
		}
		heads := func(norm string, x vector) (y vector) {
			for ; len(x) > 0; x = x[p.dim:] {
				y = append(y, p.norm(norm, x[:p.dim])...)
			}
			return y
		}
		xs := p.each(func(x vector) vector { return p.norm("attn_norm", x) }, h)
		if from == i {
			raw := p.each(func(x vector) vector { return p.linear("attn_k", 0, x) }, xs)
			values := raw
			if p.get("attn_v.weight") != nil {
				values = p.each(func(x vector) vector { return p.linear("attn_v", 0, x) }, xs)
			}
			values = p.each(func(x vector) vector { return heads("", x) }, values)
			all[i] = keysValues{p.rotated(p.each(func(x vector) vector { return heads("attn_k_norm", x) }, raw),
				rotate), values}
		}
		qs := p.each(func(x vector) vector { return heads("attn_q_norm", p.linear("attn_q", 0, x)) }, xs)
		y := p.attend(qs, all[from], 1, window, rotate)
		add(h, 1, p.each(func(x vector) vector { return p.norm("post_attention_norm", x) }, y))
		add(h, 1, p.each(func(x vector) vector {
			return p.norm("post_ffw_norm",
				p.mlp("", 0, gelu, p.norm("ffn_norm", x)))
		}, h))

		model := paper{Source: p.Source}
		scale := p.get("layer_output_scale.weight")[0]
		for t := range h {
			u := times(1./8, model.linear("per_layer_model_proj", 0, first[t]))
			u = model.norm("per_layer_proj_norm", u[8*i:8*i+8])
			axpy(u, math.Sqrt(8), tokens[t][8*i:8*i+8])
			gate := p.linear("inp_gate", 0, h[t])
			for j := range gate {
				gate[j] = gelu(gate[j]) * u[j] / math.Sqrt2
			}
			axpy(h[t], 1, p.norm("post_norm", p.linear("proj", 0, gate)))
			h[t] = times(scale, h[t])
		}
	}}
}

// TestPapers compares with the models written out.
func TestPapers(t *testing.T) {
	ids := make([]int32, 40)
	for i := range ids {
		ids[i] = int32(i * 29 % tiny.Vocab)
	}
	run := func(c paperModel, src *tiny.Source) (logits []float32) {
		p := paper{Source: src, dim: c.dim}
		table := p.get("token_embd.weight")
		var h []vector
		for _, id := range ids {
			h = append(h, times(c.embd, table[64*id:64*id+64]))
		}
		for i := range newModel(t, tiny.Meta(c.arch)).Params().Layers {
			p.prefix = fmt.Sprintf("blk.%d.", i)
			c.layer(p, i, h)
		}
		p.prefix = ""
		final := "output_norm"
		if p.get(final+".weight") == nil {
			final = "token_embd_norm"
		}
		for _, x := range h {
			if p.get(final+".bias") != nil {
				x = p.layerNorm(final, x)
			} else {
				x = p.norm(final, x)
			}
			for _, v := range p.linear("output", 0, x) {
				logits = append(logits, float32(c.logits*v))
			}
		}
		return logits
	}
	source := func(arch string, without ...string) *tiny.Source {
		src := tiny.Weights(newModel(t, tiny.Meta(arch)), tensor.F32, 3)
		for name := range src.Infos {
			if slices.ContainsFunc(without, func(s string) bool { return strings.HasSuffix(name, s) }) {
				src.Remove(name)
			}
		}
		return src
	}
	compare := func(t *testing.T, c paperModel, src *tiny.Source, finish func([]float32)) {
		t.Helper()
		want := run(c, src)
		finish(want)
		rms := logits.RelativeRMS(want, logitsOf(t, newModel(t, tiny.Meta(c.arch)), src, ids))
		t.Logf("relative RMS %.2g", rms)
		if !(rms <= 1e-4) { // a paper's sums are in an order that is neither PyTorch's nor ours
			t.Errorf("relative RMS %.3g", rms)
		}
	}
	for _, c := range paperModels {
		t.Run(c.arch, func(t *testing.T) {
			compare(t, c, source(c.arch, "exp_probs_b.bias", "rope_freqs.weight"), func([]float32) {})
		})
	}
	for _, c := range []paperModel{lfm2moePaper, dots1Paper, phimoePaper} {
		t.Run(c.arch, func(t *testing.T) { compare(t, c, source(c.arch), func([]float32) {}) })
	}
	for _, keysAsValues := range []bool{false, true} {
		t.Run(fmt.Sprintf("gemma4/keys as values %v", keysAsValues), func(t *testing.T) {
			src := source("gemma4")
			if keysAsValues {
				src.Remove("blk.1.attn_v.weight")
				src.Remove("blk.1.attn_v.bias")
			}
			var tokens []vector
			table := paper{Source: src}.get("per_layer_token_embd.weight")
			for _, id := range ids {
				tokens = append(tokens, table[48*id:48*id+48])
			}
			compare(t, gemma4Paper(tokens), src, func(logits []float32) {
				for i, x := range logits {
					logits[i] = float32(30 * math.Tanh(float64(x)/30))
				}
			})
		})
	}
}
