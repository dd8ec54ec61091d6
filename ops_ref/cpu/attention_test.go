package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_ref/internal/cast"
	"github.com/hipengine/hipengine/ops_ref/internal/host"
	"github.com/hipengine/hipengine/ops_ref/internal/simd"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// attended is an attention layer whose cache holds two sequences.
type attended struct {
	dt                   tensor.DType
	heads, kvHeads       int
	keyDim, valueDim     int
	attrs                ops.AttentionAttrs
	sinks                bool
	page, pages, context int
}

// memory is what all runs of a layer see: queries of both sequences at all positions, and caches.
type layerMemory struct {
	q          [2][]float32
	k, v       []byte
	sinks      []float32
	pageTables []int32
}

func (c *attended) memory(t testing.TB, r *rand.Rand) layerMemory {
	t.Helper()
	var m layerMemory
	random := func(n int) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(r.NormFloat64())
		}
		return x
	}
	perSeq := (c.context + c.page - 1) / c.page
	c.pages = 2*perSeq + 1
	for i := range m.q {
		m.q[i] = random(c.context * c.heads * c.keyDim)
	}
	f, _ := c.dt.Format()
	cache := func(dim int) []byte {
		n := c.pages * c.page * c.kvHeads * dim
		raw := cast.Bytes(int64(n / f.Block * f.Bytes))
		f.Quant(raw, random(n))
		return raw
	}
	m.k, m.v, m.sinks = cache(c.keyDim), cache(c.valueDim), random(c.heads)
	for _, p := range r.Perm(c.pages)[:2*perSeq] {
		m.pageTables = append(m.pageTables, int32(p))
	}
	return m
}

// run computes tokens, given by sequence and position.
func (c *attended) run(t testing.TB, dev *Device, m layerMemory, seq, pos []int32) []float64 {
	t.Helper()
	var q []float32
	width := c.heads * c.keyDim
	for i, s := range seq {
		q = append(q, m.q[max(0, s)][int(pos[i])*width:][:width]...)
	}
	o := operands{}
	add := func(raw []byte) { o.raw = append(o.raw, raw) }
	add(cast.AsBytes(q))
	add(m.k)
	add(m.v)
	add(cast.AsBytes(pos))
	add(cast.AsBytes(seq))
	add(cast.AsBytes(m.pageTables))
	cs := ops.Case{Attrs: c.attrs, Args: []ops.Arg{
		{Leaf: ops.Input, DType: tensor.F32, Shape: tensor.Shape{len(seq), c.heads, c.keyDim}},
		{Leaf: ops.State, DType: c.dt, Shape: tensor.Shape{c.pages, c.page, c.kvHeads, c.keyDim}},
		{Leaf: ops.State, DType: c.dt, Shape: tensor.Shape{c.pages, c.page, c.kvHeads, c.valueDim}},
		{Leaf: ops.Input, DType: tensor.I32, Shape: tensor.Shape{len(seq)}},
		{Leaf: ops.Input, DType: tensor.I32, Shape: tensor.Shape{len(seq)}},
		{Leaf: ops.Input, DType: tensor.I32, Shape: tensor.Shape{2, len(m.pageTables) / 2}},
	}}
	if c.sinks {
		cs.Args = append(cs.Args, ops.Arg{Leaf: ops.Input, DType: tensor.F32, Shape: tensor.Shape{c.heads}})
		add(cast.AsBytes(m.sinks))
	}
	return compute(t, dev, ops.AttentionOp, cs, o)[0]
}

// span returns positions lo to hi-1 of a sequence.
func span(s, lo, hi int) (seq, pos []int32) {
	for p := lo; p < hi; p++ {
		seq, pos = append(seq, int32(s)), append(pos, int32(p))
	}
	return seq, pos
}

// TestAttentionBits checks that a token's result depends on its sequence and position alone: whether it comes in a
// prompt or alone, beside which others, on how many threads and at which level. On tiles the bits of prompts are
// others, which no cut into prompts changes.
func TestAttentionBits(t *testing.T) {
	if simd.Current() == simd.Generic {
		t.Skip("SKIPPED: without vector instructions attention has the reference's kernel")
	}
	devs := []*Device{New(Options{Threads: 1}), New(Options{Threads: 3})}
	for _, d := range devs {
		defer d.Close()
	}
	plain := ops.AttentionAttrs{Scale: 0.125}
	for name, c := range map[string]attended{
		"f16":      {dt: tensor.F16, heads: 4, kvHeads: 2, keyDim: 64, valueDim: 64, attrs: plain, page: 32},
		"f32":      {dt: tensor.F32, heads: 3, kvHeads: 1, keyDim: 32, valueDim: 48, attrs: plain, page: 8},
		"bf16":     {dt: tensor.BF16, heads: 2, kvHeads: 2, keyDim: 128, valueDim: 16, attrs: plain, page: 256},
		"odd page": {dt: tensor.F16, heads: 2, kvHeads: 1, keyDim: 16, valueDim: 16, attrs: plain, page: 12},
		"many":     {dt: tensor.F16, heads: 40, kvHeads: 1, keyDim: 16, valueDim: 32, attrs: plain, page: 32},
		"window": {dt: tensor.F32, heads: 4, kvHeads: 2, keyDim: 32, valueDim: 32,
			attrs: ops.AttentionAttrs{Scale: 0.2, Window: 37}, page: 32},
		"one": {dt: tensor.F16, heads: 2, kvHeads: 2, keyDim: 32, valueDim: 32,
			attrs: ops.AttentionAttrs{Scale: 0.2, Window: 1}, page: 32},
		"softcap": {dt: tensor.F32, heads: 2, kvHeads: 1, keyDim: 32, valueDim: 32,
			attrs: ops.AttentionAttrs{Scale: 1, Softcap: 5}, page: 32},
		"sinks": {dt: tensor.F16, heads: 4, kvHeads: 2, keyDim: 32, valueDim: 32, attrs: plain, sinks: true,
			page: 32},
		"all three": {dt: tensor.F16, heads: 4, kvHeads: 2, keyDim: 32, valueDim: 32,
			attrs: ops.AttentionAttrs{Scale: 2, Softcap: 9, Window: 150}, sinks: true, page: 32},
		"large": {dt: tensor.F32, heads: 2, kvHeads: 1, keyDim: 32, valueDim: 32,
			attrs: ops.AttentionAttrs{Scale: 40}, page: 32},
	} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && !slices.Contains([]string{"f16", "odd page", "many", "window", "all three"}, name) {
				t.Skip("SKIPPED: -short leaves what others have too to make long")
			}
			c.context = 2*chunkKeys + 37
			m := c.memory(t, rand.New(rand.NewPCG(40, 40)))
			var want [2][]float64
			whole := func() {
				for s := range want {
					seq, pos := span(s, 0, c.context)
					want[s] = c.run(t, devs[0], m, seq, pos)
				}
			}
			width := c.heads * c.valueDim
			check := func(name string, dev *Device, seq, pos []int32) {
				t.Helper()
				got := c.run(t, dev, m, seq, pos)
				for i, s := range seq {
					for j := range width {
						g, w := got[i*width+j], 0.0
						if s >= 0 {
							w = want[s][int(pos[i])*width+j]
						}
						if math.Float64bits(g) != math.Float64bits(w) {
							t.Fatalf("%s: element %d of position %d of sequence %d is %v, want %v", name, j, pos[i],
								s, g, w)
						}
					}
				}
			}
			for _, l := range simd.Levels()[1:] {
				restore, ok := simd.Force(l)
				defer restore()
				if !ok {
					t.Logf("SKIPPED: no %v", l)
					continue
				}
				if want[0] == nil {
					whole()
				}
				if simd.RoundsColumns() && c.dt != tensor.F32 && c.keyDim%32 == 0 && c.valueDim%32 == 0 {
					whole()
					for i, dev := range devs {
						for _, cut := range []int{31, 64, 127, 200} {
							seq, pos := span(0, cut, c.context)
							s1, p1 := span(1, c.context-90, c.context)
							check(fmt.Sprintf("%v, device %d, batch from %d on", l, i, cut), dev, append(seq, s1...),
								append(pos, p1...))
						}
					}
					continue
				}
				for i, dev := range devs {
					name := fmt.Sprintf("%v, device %d", l, i)
					for s := range want {
						seq, pos := span(s, 0, c.context)
						check(name+", all", dev, seq, pos)
						for _, p := range []int{0, 1, 36, 127, 128, 131, 255, 256, c.context - 1} {
							check(name+", alone", dev, []int32{int32(s)}, []int32{int32(p)})
						}
					}
					for _, cut := range []int{1, 2, 3, 5, 31, 64, 127, 128, 200} {
						seq, pos := span(0, cut, min(cut+cut, c.context))
						check(fmt.Sprintf("%s, from %d on", name, cut), dev, seq, pos)
						// Between padding and tokens of the other sequence, in two runs.
						s1, p1 := span(1, c.context-3, c.context)
						s2, p2 := span(1, 3, 3+cut)
						check(fmt.Sprintf("%s, batch of %d", name, cut), dev,
							slices.Concat([]int32{-1}, s1, seq, []int32{-1, -1}, s2),
							slices.Concat([]int32{0}, p1, pos, []int32{0, 0}, p2))
					}
				}
			}
		})
	}
}

// TestAttentionIgnoresOthersMemory checks that what lies in pages behind a sequence's end does not matter.
func TestAttentionIgnoresOthersMemory(t *testing.T) {
	levels(t, func(t *testing.T) {
		dev := New(Options{Threads: 2})
		defer dev.Close()
		c := attended{dt: tensor.F16, heads: 4, kvHeads: 2, keyDim: 32, valueDim: 32,
			attrs: ops.AttentionAttrs{Scale: 0.2}, page: 32, context: 64}
		m := c.memory(t, rand.New(rand.NewPCG(41, 41)))
		for _, tokens := range []int{1, 30} {
			seq, pos := span(0, 40-tokens, 40)
			want := c.run(t, dev, m, seq, pos)
			bad := m
			for _, cache := range []*[]byte{&bad.k, &bad.v} {
				*cache = append(cast.Bytes(0), *cache...)
				page := int(m.pageTables[1])
				row := c.kvHeads * 32 * 2
				for i := (page*32 + 8) * row; i < (page+1)*32*row; i++ {
					(*cache)[i] = 0xff // NaN
				}
			}
			for i, g := range c.run(t, dev, bad, seq, pos) {
				if g != want[i] {
					t.Fatalf("%d tokens: element %d is %v, want %v", tokens, i, g, want[i])
				}
			}
		}
	})
}

// BenchmarkAttention measures a layer of 16 heads and 8 KV heads of 128 elements that reads a prompt.
func BenchmarkAttention(b *testing.B) {
	const heads, kv, d = 16, 8, 128
	for _, dt := range []tensor.DType{tensor.F32, tensor.F16} {
		for _, s := range [][2]int{{0, 512}, {7680, 512}, {8000, 8}} {
			b.Run(fmt.Sprintf("%v/tokens%d/at%d", dt, s[1], s[0]), func(b *testing.B) {
				pos, seq, pages := make([]int32, s[1]), make([]int32, s[1]), make([]int32, (s[0]+s[1]+31)/32)
				pairs := 0
				for i := range pos {
					pos[i] = int32(s[0] + i)
					pairs += s[0] + i + 1
				}
				for i := range pages {
					pages[i] = int32(i)
				}
				benchPlan(b, 4*float64(pairs)*heads*d,
					func(g *ops.Graph, alloc func(tensor.DType, ...int) tensor.Tensor) ops.Value {
						return ops.Attention(g, g.State(alloc(tensor.F32, s[1], heads, d)),
							g.State(alloc(dt, len(pages), 32, kv, d)), g.State(alloc(dt, len(pages), 32, kv, d)),
							g.Input("pos", tensor.I32, s[1]), g.Input("seq", tensor.I32, s[1]),
							g.Input("pages", tensor.I32, 1, len(pages)), ops.Value{},
							ops.AttentionAttrs{Scale: 0.088})
					}, map[string][]int32{"pos": pos, "seq": seq, "pages": pages})
			})
		}
	}
}

// BenchmarkAttentionBandwidth measures a token behind 8192 others: bytes of keys and values per second, and as a share
// of what a plain sum of the same memory reaches between runs. Layers together are larger than caches are.
func BenchmarkAttentionBandwidth(b *testing.B) {
	const heads, kv, d, context = 16, 8, 128, 8192
	q8 := quant.Q8_0
	for _, dt := range []tensor.DType{tensor.F32, tensor.F16, q8} {
		b.Run(fmt.Sprint(dt), func(b *testing.B) {
			dev := New(Options{})
			defer dev.Close()
			s, _ := dev.Stream()
			g := &ops.Graph{}
			shape := tensor.Shape{context / 32, 32, kv, d}
			size, err := tensor.Bytes(dt, shape)
			if err != nil {
				b.Fatal(err)
			}
			r := rand.New(rand.NewPCG(42, 42))
			f, _ := dt.Format()
			row, raw := make([]float32, shape.Elems()/context), make([]byte, size)
			for i := range context {
				for j := range row {
					row[j] = float32(r.NormFloat64())
				}
				n := len(row) / f.Block * f.Bytes
				f.Quant(raw[i*n:][:n], row)
			}
			var memory [][]byte
			state := func() ops.Value {
				buf, err := dev.Alloc(size, ops.MemState)
				if err != nil {
					b.Fatal(err)
				}
				x := tensor.Tensor{DType: dt, Shape: shape, Buf: buf}
				if err := s.Upload(x, raw); err != nil {
					b.Fatal(err)
				}
				memory = append(memory, host.Map(buf))
				return g.State(x)
			}
			pos, seq, pages := g.Input("pos", tensor.I32, 1), g.Input("seq", tensor.I32, 1),
				g.Input("pages", tensor.I32, 1, context/32)
			x := g.Input("q", tensor.F32, 1, heads, d)
			const layers = 12
			for range layers {
				x = ops.Attention(g, x, state(), state(), pos, seq, pages, ops.Value{},
					ops.AttentionAttrs{Scale: 0.088})
			}
			p, err := dev.Compile(g, nil, x)
			if err != nil {
				b.Fatal(err)
			}
			table := make([]int32, context/32)
			for i := range table {
				table[i] = int32(i)
			}
			for name, v := range map[string][]int32{"pos": {context - 1}, "pages": table} {
				in, _ := p.Input(name)
				if err := s.Upload(in, cast.AsBytes(v)); err != nil {
					b.Fatal(err)
				}
			}
			bytes := float64(2 * layers * size)
			var shares, rates []float64
			for b.Loop() {
				t0 := time.Now()
				sumAll(memory)
				t1 := time.Now()
				if err := s.Run(p); err != nil {
					b.Fatal(err)
				}
				t2 := time.Now()
				rates = append(rates, bytes/t2.Sub(t1).Seconds()/1e9)
				shares = append(shares, t1.Sub(t0).Seconds()/t2.Sub(t1).Seconds())
			}
			slices.Sort(shares)
			slices.Sort(rates)
			b.ReportMetric(rates[len(rates)/2], "GB/s")
			b.ReportMetric(shares[len(shares)/2], "of-sum")
		})
	}
}

// sumAll reads memory on all cores and returns the sum.
func sumAll(memory [][]byte) (total float32) {
	var wg sync.WaitGroup
	sums := make([]float32, runtime.GOMAXPROCS(0))
	for w := range sums {
		wg.Go(func() {
			for _, m := range memory {
				x := cast.Of[float32](m[len(m)*w/len(sums)&^63 : len(m)*(w+1)/len(sums)&^63])
				for ; len(x) >= 4096; x = x[4096:] {
					sums[w] += simd.Max(x[:4096], 0)
				}
			}
		})
	}
	wg.Wait()
	for _, s := range sums {
		total += s
	}
	return total
}
