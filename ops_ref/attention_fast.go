package opsref

import (
	"math"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_ref/internal/par"
	"github.com/hipengine/hipengine/ops_ref/internal/simd"
)

func init() { RegisterFast(ops.AttentionOp, bindAttention) }

// attentionTokens is the number of tokens whose queries meet a page of keys together.
const attentionTokens = 12

// attentionTask computes softmax attention page by page with a running maximum (Dao et al. 2022, arXiv 2205.14135).
// Pages are parts of the positions of a sequence, so that the bits of a token's result do not depend on what else is
// in the step.
type attentionTask struct {
	shared
	q, out           []float32
	k, v             cache
	heads, kvHeads   int
	attrs            ops.AttentionAttrs
	at               *paged
	sinks            []float32
	scratch          *scratch
	scoreLen         int // elements of the scores in scratch
	keyLen, valueLen int // elements of a page of keys, and of values, as float32
}

// cache is the keys or values of a layer.
type cache struct {
	raw  []byte
	typ  simd.FloatType
	dim  int
	size int // bytes of a row
}

func newCache(v View[float32]) (cache, bool) {
	typ, ok := floatFormats[v.DType]
	dim := v.Shape[3]
	return cache{v.raw, typ, dim, rowBytes(v)}, ok && (typ == simd.F32 || dim%16 == 0)
}

// rows returns the rows of one head from a place on.
func (c *cache) rows(place, heads, head int) simd.Matrix {
	return simd.Matrix{Type: c.typ, Data: c.raw[(place*heads+head)*c.size:], Stride: heads * c.size}
}

func bindAttention(b *Binding) Task {
	in := b.Call.In
	k, okK := newCache(in[1])
	v, okV := newCache(in[2])
	if !okK || !okV || simd.Current() == simd.Generic {
		return nil
	}
	t := &attentionTask{q: in[0].F, out: b.Call.Out[0].F, k: k, v: v, heads: in[0].Shape[1], kvHeads: in[1].Shape[2],
		attrs: b.Call.Attrs.(ops.AttentionAttrs), at: b.paged(in[1], 3)}
	if len(in) == 7 {
		if t.sinks = in[6].F; t.sinks == nil {
			return nil
		}
	}
	columns := min(attentionTokens, in[0].Shape[0]) * (t.heads / t.kvHeads)
	t.scoreLen, t.keyLen, t.valueLen = columns*t.at.page, t.at.page*k.dim, t.at.page*v.dim
	t.scratch = b.Scratch(0, 4*(t.scoreLen+2*columns+t.keyLen+t.valueLen))
	return t
}

// Run takes a KV head of some tokens at a time.
func (t *attentionTask) Run(w *par.Worker) error {
	tokens := len(t.at.pos)
	blocks := (tokens + attentionTokens - 1) / attentionTokens
	for {
		i, _, ok := t.next.Take(1, blocks*t.kvHeads)
		if !ok {
			return nil
		}
		// The last tokens see most: they come first.
		head, block := i%t.kvHeads, blocks-1-i/t.kvHeads
		end := min((block+1)*attentionTokens, tokens)
		for lo := block * attentionTokens; lo < end; {
			hi := lo + 1
			for hi < end && t.at.seq[hi] == t.at.seq[lo] {
				hi++
			}
			t.sequence(simd.Of[float32](t.scratch.local[w.ID]), head, lo, hi)
			lo = hi
		}
	}
}

// result returns where the output of a token and head goes.
func (t *attentionTask) result(token, head int) []float32 {
	return t.out[(token*t.heads+head)*t.v.dim:][:t.v.dim]
}

// first returns the first position that a token sees.
func (t *attentionTask) first(token int) int {
	if t.attrs.Window == 0 {
		return 0
	}
	return max(0, int(t.at.pos[token])-t.attrs.Window+1)
}

// sequence computes tokens lo to hi-1, all of one sequence, for the query heads of one KV head.
func (t *attentionTask) sequence(mem []float32, kvHead, lo, hi int) {
	group := t.heads / t.kvHeads
	if t.at.seq[lo] < 0 {
		for token := lo; token < hi; token++ {
			clear(t.out[(token*t.heads+kvHead*group)*t.v.dim:][:group*t.v.dim])
		}
		return
	}
	n := (hi - lo) * group
	scores, mem := mem[:t.scoreLen], mem[t.scoreLen:]
	top, total, mem := mem[:n], mem[n:2*n], mem[2*n:]
	first, last := math.MaxInt, 0
	for token := lo; token < hi; token++ {
		first, last = min(first, t.first(token)), max(last, int(t.at.pos[token]))
		for g := range group {
			i := (token-lo)*group + g
			top[i], total[i] = float32(math.Inf(-1)), 0
			if t.sinks != nil {
				top[i], total[i] = t.sinks[kvHead*group+g], 1
			}
			clear(t.result(token, kvHead*group+g))
		}
	}
	for p := first / t.at.page; p <= last/t.at.page; p++ {
		base := p * t.at.page
		count := min(t.at.page, last+1-base)
		place := t.at.row(int(t.at.seq[lo]), base)
		keys, values := t.k.rows(place, t.kvHeads, kvHead), t.v.rows(place, t.kvHeads, kvHead)
		if n > 2 { // several columns share the conversion
			keys = widenRows(mem[:t.keyLen], keys, count, t.k.dim)
			values = widenRows(mem[t.keyLen:][:t.valueLen], values, count, t.v.dim)
		}
		t.products(scores, keys, count, kvHead*group, lo, hi)
		for token := lo; token < hi; token++ {
			from, to := max(0, t.first(token)-base), min(count, int(t.at.pos[token])+1-base)
			if from >= to {
				continue
			}
			seen := values
			seen.Data = values.Data[from*values.Stride:]
			for g := range group {
				i := (token-lo)*group + g
				s := scores[i*t.at.page:][from:to]
				t.page(s, seen, t.result(token, kvHead*group+g), &top[i], &total[i])
			}
		}
	}
	for i := range n {
		o := t.result(lo+i/group, kvHead*group+i%group)
		simd.Scale.Apply(o, o, 1/total[i])
	}
}

// products sets scores, [token][head of the group][page], to the products of queries and keys.
func (t *attentionTask) products(scores []float32, keys simd.Matrix, count, head, lo, hi int) {
	group, page, dim := t.heads/t.kvHeads, t.at.page, t.k.dim
	q := t.q[(lo*t.heads+head)*dim:]
	if hi-lo == 1 {
		simd.MulFloat(scores, page, keys, count, q, dim, group, dim)
		return
	}
	for g := range group {
		simd.MulFloat(scores[g*page:], group*page, keys, count, q[g*dim:], t.heads*dim, hi-lo, dim)
	}
}

// page adds one page to the running softmax of one query: scores s of the values that it sees.
func (t *attentionTask) page(s []float32, values simd.Matrix, out []float32, top, total *float32) {
	simd.Scale.Apply(s, s, t.attrs.Scale)
	if t.attrs.Softcap > 0 {
		simd.Softcap.Apply(s, s, t.attrs.Softcap)
	}
	if m := simd.Max(s, *top); m != *top {
		shrink := simd.Exp(*top - m)
		*total *= shrink
		simd.Scale.Apply(out, out, shrink)
		*top = m
	}
	*total += simd.ExpSum(s, *top)
	simd.AddRows(out, values, s)
}

// widenRows converts n rows to float32 in mem, unless they are.
func widenRows(mem []float32, m simd.Matrix, n, dim int) simd.Matrix {
	if m.Type == simd.F32 {
		return m
	}
	for i := range n {
		simd.Widen(m.Type, mem[i*dim:][:dim], m.Data[i*m.Stride:])
	}
	return simd.Matrix{Type: simd.F32, Data: simd.AsBytes(mem), Stride: 4 * dim}
}
