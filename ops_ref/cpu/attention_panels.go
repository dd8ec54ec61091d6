package cpu

import (
	"github.com/hipengine/hipengine/ops_ref/internal/cast"
	"github.com/hipengine/hipengine/ops_ref/internal/par"
	"github.com/hipengine/hipengine/ops_ref/internal/simd"
)

// blockQueries is about the most queries that share the conversion of a chunk of keys and values.
const blockQueries = 256

// panelTokens returns the most tokens of a block if each has group queries.
func panelTokens(group int) int { return max(1, blockQueries/group) }

// blockTokens returns the tokens of a block of a step of so many: fewer than the most if there are many workers.
func blockTokens(tokens, group, kvHeads, workers int) int {
	n := panelTokens(group)
	for least := panelTokens(4 * group); n > least && tokens*kvHeads < 4*workers*n; {
		n = max(least, n/2)
	}
	return n
}

// panelCount returns the panels that n queries take.
func panelCount(n int) int { return (n + simd.PanelQueries - 1) / simd.PanelQueries }

// panelLocal returns the elements that a worker needs for blocks of a step of so many tokens.
func (t *attentionTask) panelLocal(tokens int) int {
	queries := panelCount(min(tokens, panelTokens(t.group))*t.group) * simd.PanelQueries
	keys := chunkKeys
	if t.tiles {
		keys *= 2 // as they are, and packed
	}
	return (queries+simd.PanelQueries+keys)*t.k.dim + (queries+simd.PanelQueries+keys)*t.v.dim +
		keys*simd.PanelQueries + 2*queries + 4*simd.PanelQueries
}

// block is the queries of one KV head of some tokens of a sequence, and what has been computed for them.
type block struct {
	*attentionTask
	tokenRun
	kvHead int
	n      int // queries: those of the first token, those of the second, ...

	panels     []float32 // of queries
	out        []float32 // [n, value dim], weighted sums
	top, total []float32

	keys, values []float32 // of the chunk
	scores       []float32 // [chunkKeys, a panel of queries]
	part         []float32 // weighted sums of the chunk for a panel

	// On tiles: keys and values of the chunk, and the weights of a panel.
	keyColumns, valuePanels, weightColumns []byte
	padded                                 int // keys of the chunk, rounded up to whole tiles

	m, l, a, b [simd.PanelQueries]float32
	from, to   [simd.PanelQueries]int32
}

// runPanels takes a KV head of a block at a time.
func (t *attentionTask) runPanels(w *par.Worker) {
	blocks := t.work.blocks
	for {
		i, _, ok := t.panelNext.Take(1, len(blocks)*t.kvHeads)
		if !ok {
			return
		}
		// The last tokens see most: they come first, and the same head stays in the caches.
		b := block{attentionTask: t, tokenRun: blocks[len(blocks)-1-i%len(blocks)], kvHead: i / len(blocks)}
		b.compute(cast.Of[float32](t.scratch.local[w.ID].b))
	}
}

// compute computes the block in memory of the worker.
func (b *block) compute(local []float32) {
	mem := floatsOf{local}
	b.n = (b.hi - b.lo) * b.group
	queries := panelCount(b.n) * simd.PanelQueries
	b.panels = mem.take(queries * b.k.dim)
	b.pack(mem.take(simd.PanelQueries * b.k.dim))
	b.keys, b.values = mem.take(chunkKeys*b.k.dim), mem.take(chunkKeys*b.v.dim)
	b.scores, b.part = mem.take(chunkKeys*simd.PanelQueries), mem.take(simd.PanelQueries*b.v.dim)
	if b.tiles {
		b.keyColumns, b.valuePanels = cast.AsBytes(mem.take(chunkKeys*b.k.dim)),
			cast.AsBytes(mem.take(chunkKeys*b.v.dim))
		b.weightColumns = cast.AsBytes(mem.take(chunkKeys * simd.PanelQueries))
	}
	b.out, b.top, b.total = mem.take(queries*b.v.dim), mem.take(queries), mem.take(queries)
	clear(b.out)
	for i := 0; i < b.n; i += b.group {
		b.start(b.top[i:i+b.group], b.total[i:i+b.group], b.kvHead*b.group)
	}
	for c := b.first; c <= b.last; c++ {
		b.chunk(c)
	}
	for i := 0; i < b.n; i += b.group {
		out := b.result(b.lo+i/b.group, b.kvHead*b.group, b.group)
		for g := range b.group {
			simd.Scale.Apply(out[g*b.v.dim:][:b.v.dim], b.out[(i+g)*b.v.dim:], 1/b.total[i+g])
		}
	}
}

// pack makes panels of the queries. What is left of the last is zero.
func (b *block) pack(rows []float32) {
	dim := b.k.dim
	for first := 0; first < b.n; first += simd.PanelQueries {
		end := min(first+simd.PanelQueries, b.n)
		for i := first; i < end; i++ {
			copy(rows[(i-first)*dim:], b.query(b.lo+i/b.group, b.kvHead*b.group+i%b.group, 1))
		}
		clear(rows[(end-first)*dim:])
		if !b.tiles {
			simd.PackQueries(b.panels[first*dim:], rows, dim)
			continue
		}
		for half := range 2 {
			simd.F16.RepackFloats(cast.AsBytes(b.panels[first*dim:][:simd.PanelQueries*dim]), half,
				rows[half*simd.PanelQueries/2*dim:], dim, dim)
		}
	}
}

// chunk adds a chunk to the results.
func (b *block) chunk(c int) {
	base := c * chunkKeys
	_, end := b.sight.seen(b.hi - 1)
	count := min(chunkKeys, end-base)
	for at := 0; at < count; {
		place, n := b.sight.stretch(b.lo, base+at, count-at)
		simd.WidenRows(b.keys[at*b.k.dim:], b.k.rows(place, b.kvHeads, b.kvHead), n, b.k.dim)
		simd.WidenRows(b.values[at*b.v.dim:], b.v.rows(place, b.kvHeads, b.kvHead), n, b.v.dim)
		at += n
	}
	if b.tiles {
		b.padded = (count + simd.FloatColumns - 1) / simd.FloatColumns * simd.FloatColumns
		for i := range count {
			simd.F16.PackFloats(b.keyColumns, b.keys[i*b.k.dim:][:b.k.dim], i)
		}
		clear(b.values[count*b.v.dim : b.padded*b.v.dim])
		simd.PackValues(b.valuePanels, b.values, b.padded, b.v.dim)
	}
	for first := 0; first < b.n; first += simd.PanelQueries {
		b.panel(c, first)
	}
}

// panel adds a chunk to the results of the panel of queries from first on.
func (b *block) panel(c, first int) {
	// Those that see part of the chunk are neighbours: lo to hi-1.
	lo, hi, rows := simd.PanelQueries, 0, 0
	for i := range b.from {
		b.from[i], b.to[i] = 0, 0
		if first+i >= b.n {
			continue
		}
		if from, to := b.seen(b.lo+(first+i)/b.group, c); from < to {
			b.from[i], b.to[i] = int32(from), int32(to)
			lo, hi, rows = min(lo, i), i+1, max(rows, to)
		}
	}
	if rows == 0 {
		return
	}
	dim, queries := b.k.dim, b.panels[first*b.k.dim:]
	if b.tiles {
		simd.F16.MulFloatPanels(b.scores, simd.PanelQueries, cast.AsBytes(queries[:simd.PanelQueries*dim]), 1,
			b.keyColumns, rows, dim, 0, dim)
	} else {
		simd.PanelScores(b.scores, b.keys, rows, dim, queries)
	}
	scale := b.attrs.Scale
	if b.attrs.Softcap > 0 {
		s := b.scores[:rows*simd.PanelQueries]
		simd.Scale.Apply(s, s, scale)
		simd.Softcap.Apply(s, s, b.attrs.Softcap)
		scale = 1
	}
	simd.Softmax(b.scores, rows, b.from[:], b.to[:], scale, b.m[:], b.l[:])
	if b.tiles {
		b.weighTiles(rows)
	} else {
		clear(b.part)
		for i := lo &^ (simd.ValueQueries - 1); i < hi; i += simd.ValueQueries {
			b.weigh(i, max(lo, i), min(hi, i+simd.ValueQueries))
		}
	}
	merge(b.top[first+lo:first+hi], b.total[first+lo:], b.m[lo:], b.l[lo:], b.a[:], b.b[:])
	simd.MergeRows(b.out[(first+lo)*b.v.dim:], b.part[lo*b.v.dim:], b.a[:hi-lo], b.b[:], b.v.dim)
}

// weighTiles computes the weighted sums of all queries of a panel, of which none sees more than the given rows. What
// those that see nothing get does not matter.
func (b *block) weighTiles(rows int) {
	clear(b.scores[rows*simd.PanelQueries : b.padded*simd.PanelQueries])
	simd.PackWeights(b.weightColumns, b.scores, b.padded)
	simd.F16.MulFloatPanels(b.part, b.v.dim, b.valuePanels, b.v.dim/simd.FloatRows, b.weightColumns, simd.PanelQueries,
		b.padded, 0, b.padded)
}

// weigh computes the weighted sums of queries lo to hi-1, which are among the eight from first on. Rows that all see
// are added for all together; what the others of the eight get does not matter.
func (b *block) weigh(first, lo, hi int) {
	dim := b.v.dim
	from, to := b.from[lo], b.to[lo]
	for i := lo + 1; i < hi; i++ {
		from, to = max(from, b.from[i]), min(to, b.to[i])
	}
	one := func(i int, from, to int32) {
		if from < to {
			simd.PanelValue(b.part[i*dim:][:dim], b.values[int(from)*dim:], b.scores[int(from)*simd.PanelQueries+i:],
				int(to-from))
		}
	}
	if from >= to {
		for i := lo; i < hi; i++ {
			one(i, b.from[i], b.to[i])
		}
		return
	}
	for i := lo; i < hi; i++ {
		one(i, b.from[i], from)
	}
	simd.PanelValues(b.part[first*dim:], b.values[int(from)*dim:], b.scores[int(from)*simd.PanelQueries+first:],
		int(to-from), dim)
	for i := lo; i < hi; i++ {
		one(i, to, b.to[i])
	}
}
