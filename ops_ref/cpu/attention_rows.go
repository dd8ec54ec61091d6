package cpu

import (
	"math"

	"github.com/hipengine/hipengine/ops_ref/internal/cast"
	"github.com/hipengine/hipengine/ops_ref/internal/par"
	"github.com/hipengine/hipengine/ops_ref/internal/simd"
)

const (
	// rowQueries is the number of queries of a sequence that meet rows of the cache as they are.
	rowQueries = 8

	// waveParts is the number of parts, of one chunk for one token each, whose results are kept until they are merged.
	waveParts = 256
)

// rowLocal returns the elements that a worker needs for a chunk of one token.
func (t *attentionTask) rowLocal() int { return t.heads * (chunkKeys + 2) }

// rowShared returns the elements that all workers together need for a step of so many tokens.
func (t *attentionTask) rowShared(tokens int) int {
	return t.waveSize(tokens)*t.heads*(t.v.dim+2) + 2*tokens*t.heads
}

// waveSize returns the most parts of a wave of a step of so many tokens.
func (t *attentionTask) waveSize(tokens int) int {
	chunks := (t.at.Positions() + chunkKeys - 1) / chunkKeys
	return min(waveParts, tokens*chunks)
}

// rowMemory is what the workers share.
type rowMemory struct {
	m, l, out  []float32 // of parts: largest scores and sums of weights, [parts, heads]; weighted sums
	top, total []float32 // of tokens, [tokens, heads]
}

func (t *attentionTask) rowMemory() rowMemory {
	tokens := len(t.at.Pos)
	mem, n := floatsOf{cast.Of[float32](t.scratch.shared.b)}, t.waveSize(tokens)*t.heads
	return rowMemory{mem.take(n), mem.take(n), mem.take(n * t.v.dim), mem.take(tokens * t.heads),
		mem.take(tokens * t.heads)}
}

// runRows computes parts in waves: the parts of a wave in any order, then what they add to each query.
func (t *attentionTask) runRows(w *par.Worker) {
	if t.work.parts == 0 {
		return
	}
	mem := t.rowMemory()
	size := t.waveSize(len(t.at.Pos))
	for first := 0; first < t.work.parts; first += size {
		n := min(size, t.work.parts-first)
		// A part is cut by heads if there are too few for all workers.
		cuts := min(t.kvHeads, max(1, 4*w.Threads()/n))
		for {
			i, _, ok := t.rowNext.Take(w, 1, n*cuts)
			if !ok {
				break
			}
			cut := i % cuts
			t.part(cast.Of[float32](t.scratch.local[w.ID].b), &mem, first+i/cuts, i/cuts, t.kvHeads*cut/cuts,
				t.kvHeads*(cut+1)/cuts)
		}
		w.Barrier()
		if w.ID == 0 {
			t.rowNext.Reset()
		}
		t.mergeParts(w, &mem, first, n)
		w.Barrier()
	}
}

// part computes part number i of the step, which is number at of the wave, for some KV heads.
func (t *attentionTask) part(local []float32, mem *rowMemory, i, at, head, end int) {
	run := t.work.runs[t.work.find(i)]
	tokens := run.hi - run.lo
	chunk, token := run.first+(i-run.part)/tokens, run.lo+(i-run.part)%tokens
	queries := (end - head) * t.group
	place := at*t.heads + head*t.group
	m, l, out := mem.m[place:][:queries], mem.l[place:][:queries], mem.out[place*t.v.dim:][:queries*t.v.dim]
	from, to := t.seen(token, chunk)
	if from >= to {
		clear(l) // what has no weight is not merged
		return
	}
	seq, base := int(t.at.Seq[token]), chunk*chunkKeys
	scores := local[:queries*chunkKeys]
	shape := simd.Heads{Heads: end - head, Group: t.group, Dim: t.k.dim}
	q := t.query(token, head*t.group, queries)
	// What comes next is fetched in time: rows of other pages, or of values, lie elsewhere.
	next := func(c *cache, at int) []byte {
		place, _ := t.at.Stretch(seq, base+at, 1)
		return c.rows(place, t.kvHeads, head).Data
	}
	for at := from &^ 3; at < to; {
		place, n := t.at.Stretch(seq, base+at, to-at)
		var ahead []byte
		if at+n < to {
			ahead = next(&t.k, at+n)
		} else {
			ahead = next(&t.v, from)
		}
		simd.RowScores(scores[at:], chunkKeys, t.k.rows(place, t.kvHeads, head), n, shape, q, ahead)
		at += n
	}
	for u := range queries {
		s := scores[u*chunkKeys:][:to]
		for j := range from {
			s[j] = float32(math.Inf(-1))
		}
		simd.Scale.Apply(s[from:], s[from:], t.attrs.Scale)
		if t.attrs.Softcap > 0 {
			simd.Softcap.Apply(s[from:], s[from:], t.attrs.Softcap)
		}
		m[u] = simd.Max(s[from:], float32(math.Inf(-1)))
		l[u] = simd.ExpSum(s, m[u])
	}
	clear(out)
	shape.Dim = t.v.dim
	for at := from; at < to; {
		place, n := t.at.Stretch(seq, base+at, to-at)
		var ahead []byte
		if at+n < to {
			ahead = next(&t.v, at+n)
		} else if chunk < run.last { // most likely the worker's next part
			ahead = next(&t.k, chunkKeys)
		}
		simd.RowValues(out, t.v.rows(place, t.kvHeads, head), n, shape, scores[at:], chunkKeys, ahead)
		at += n
	}
}

// find returns the run that part number i belongs to.
func (w *attentionWork) find(i int) int {
	lo, hi := 0, len(w.runs)
	for hi-lo > 1 {
		if mid := (lo + hi) / 2; w.runs[mid].part <= i {
			lo = mid
		} else {
			hi = mid
		}
	}
	return lo
}

// mergeParts adds the n parts from number first on to the results of the worker's heads.
func (t *attentionTask) mergeParts(w *par.Worker, mem *rowMemory, first, n int) {
	a := cast.Of[float32](t.scratch.local[w.ID].b)
	b := a[t.heads:]
	lo, hi := evenly(w, t.heads, 1)
	if lo == hi {
		return
	}
	end := t.work.find(first + n - 1)
	for r := t.work.find(first); r <= end; r++ {
		run := t.work.runs[r]
		tokens := run.hi - run.lo
		for i := max(first, run.part); i < min(first+n, run.part+tokens*(run.last+1-run.first)); i++ {
			chunk, token := run.first+(i-run.part)/tokens, run.lo+(i-run.part)%tokens
			top, total := mem.top[token*t.heads:][lo:hi], mem.total[token*t.heads:][lo:hi]
			out := t.result(token, lo, hi-lo)
			if chunk == run.first {
				t.start(top, total, lo)
				clear(out)
			}
			part := (i-first)*t.heads + lo
			if mem.l[part] != 0 {
				merge(top, total, mem.m[part:], mem.l[part:], a, b)
				simd.MergeRows(out, mem.out[part*t.v.dim:], a[:hi-lo], b, t.v.dim)
			}
			if chunk == run.last {
				for h := range total {
					o := out[h*t.v.dim:][:t.v.dim]
					simd.Scale.Apply(o, o, 1/total[h])
				}
			}
		}
	}
}
