package place

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_ref/cpu"
	"github.com/hipengine/hipengine/tensor"
)

// testbed is a device whose weights lie where at says.
type testbed struct {
	t  *testing.T
	d  *Device
	s  ops.Stream
	at func(name string) int
}

func newBed(t *testing.T, parts int, at func(name string) int) *testbed {
	t.Helper()
	var devs []ops.Device
	for range parts {
		d := cpu.New(cpu.Options{Threads: 1})
		t.Cleanup(func() { d.Close() })
		devs = append(devs, d)
	}
	return bedOf(t, at, devs...)
}

func bedOf(t *testing.T, at func(name string) int, devs ...ops.Device) *testbed {
	t.Helper()
	d, err := New(devs, func(u ops.WeightUse, _ ops.MemKind) int { return at(u.Name) })
	if err != nil {
		t.Fatal(err)
	}
	s, err := d.Stream()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return &testbed{t, d, s, at}
}

// tensor allocates a tensor and fills it with x.
func (b *testbed) tensor(name string, kind ops.MemKind, x []float32, shape ...int) tensor.Tensor {
	b.t.Helper()
	on, err := b.d.Caps().Place(ops.WeightUse{Name: name, DType: tensor.F32, Shape: shape}, kind)
	if err != nil {
		b.t.Fatal(err)
	}
	t := tensor.Tensor{Name: name, DType: tensor.F32, Shape: shape}
	if t.Buf, err = on.Alloc(int64(4*len(x)), kind); err != nil {
		b.t.Fatal(err)
	}
	if err := b.s.Upload(t, raw(x)); err != nil {
		b.t.Fatal(err)
	}
	return t
}

// run runs a plan with inputs and returns its outputs.
func (b *testbed) run(p ops.Plan, in map[string][]float32, outs int) ([][]float32, error) {
	for name, x := range in {
		if t, ok := p.Input(name); ok {
			if err := b.s.Upload(t, raw(x)); err != nil {
				return nil, err
			}
		}
	}
	if err := b.s.Run(p); err != nil {
		return nil, err
	}
	bytes := make([][]byte, outs)
	for i := range bytes {
		t := p.Output(i)
		bytes[i] = make([]byte, 4*t.Shape.Elems())
		if err := b.s.Download(bytes[i], t); err != nil {
			return nil, err
		}
	}
	if err := b.s.Sync(b.t.Context()); err != nil {
		return nil, err
	}
	var all [][]float32
	for _, r := range bytes {
		x := make([]float32, len(r)/4)
		for i := range x {
			x[i] = math.Float32frombits(binary.LittleEndian.Uint32(r[4*i:]))
		}
		all = append(all, x)
	}
	return all, nil
}

func raw(x []float32) (b []byte) {
	for _, v := range x {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}

func numbers(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

// randomGraph records ops that read each other's results at random, with weights that are called w and a number, and
// returns some results. What is drawn depends on the seed alone.
func randomGraph(b *testbed, seed uint64) (*ops.Graph, []ops.Value, map[string][]float32) {
	const width, tokens = 64, 5
	r := rand.New(rand.NewPCG(seed, 1))
	g := &ops.Graph{}
	in := map[string][]float32{"x": numbers(r, tokens*width), "y": numbers(r, tokens*width)}
	values := []ops.Value{g.Input("x", tensor.F32, tokens, width), g.Input("y", tensor.F32, tokens, width)}
	pick := func() ops.Value { return values[max(0, len(values)-1-r.IntN(min(5, len(values))))] }
	for i := range 40 {
		x := pick()
		name := fmt.Sprint("w", i)
		var v ops.Value
		switch r.IntN(5) {
		case 0, 1:
			v = ops.Scale(g, ops.MulMat(g, x, g.Weight(b.tensor(name, ops.MemWeights, numbers(r, width*width), width, width))), 0.1)
		case 2:
			v = ops.RMSNorm(g, x, g.Weight(b.tensor(name, ops.MemWeights, numbers(r, width), width)), 1e-6)
		case 3:
			v = ops.Add(g, x, pick())
		default:
			h := ops.Reshape(g, x, tokens, 4, width/4)
			v = ops.Reshape(g, ops.SiLU(g, h), tokens, width)
		}
		values = append(values, v)
	}
	outs := []ops.Value{values[len(values)-1], pick(), ops.Reshape(g, pick(), tokens*width)}
	return g, outs, in
}

// TestRandom cuts random graphs with weights at random places on up to four parts: results are those of one part, bit
// for bit, in each of several runs, alone and with plans of other graphs in the same arena.
func TestRandom(t *testing.T) {
	seeds := uint64(60)
	if testing.Short() {
		seeds = 12
	}
	crossed := 0
	for seed := range seeds {
		one := newBed(t, 1, func(string) int { return 0 })
		r := rand.New(rand.NewPCG(seed, 2))
		parts := 2 + r.IntN(3)
		many := newBed(t, parts, func(string) int { return r.IntN(parts+1) - 1 })
		var arena ops.Arena
		for graph := range uint64(2) {
			var want [][]float32
			for _, b := range []*testbed{one, many} {
				g, outs, in := randomGraph(b, 2*seed+graph)
				shared := &arena
				if b == one {
					shared = nil
				}
				p, err := b.d.Compile(g, shared, outs...)
				if err != nil {
					t.Fatal(err)
				}
				for range 3 {
					got, err := b.run(p, in, len(outs))
					if err != nil {
						t.Fatal(err)
					}
					if want == nil {
						want = got
					}
					for i := range got {
						if !slices.Equal(got[i], want[i]) {
							t.Fatalf("seed %d, graph %d, %d parts: output %d differs", seed, graph, len(b.d.parts), i)
						}
					}
				}
				if b == many {
					crossed += len(p.(*plan).segments)
					n, err := b.d.Caps().PlanBytes(g, outs...)
					if err != nil || n > arena.Bytes() {
						t.Errorf("seed %d: planned %d bytes, took %d: %v", seed, n, arena.Bytes(), err)
					}
				}
			}
		}
	}
	if crossed < int(seeds)*10 {
		t.Errorf("only %d segments", crossed)
	}
}

// TestBeside: what one part makes of the input beside what it sends away runs while the other computes, not before.
func TestBeside(t *testing.T) {
	b := newBed(t, 2, func(name string) int { return map[string]int{"far": 1}[name] })
	w := make([]float32, 16)
	g := &ops.Graph{}
	x := ops.RMSNorm(g, g.Input("x", tensor.F32, 1, 4), g.Weight(b.tensor("norm", ops.MemWeights, w[:4], 4)), 1)
	near := ops.MulMat(g, x, g.Weight(b.tensor("near", ops.MemWeights, w, 4, 4)))
	far := ops.MulMat(g, x, g.Weight(b.tensor("far", ops.MemWeights, w, 4, 4)))
	c, err := b.d.cut(g, []ops.Value{ops.RMSNorm(g, ops.Add(g, near, far),
		g.Weight(b.tensor("last", ops.MemWeights, w[:4], 4)), 1)}, b.d.planned)
	if err != nil {
		t.Fatal(err)
	}
	var got []place
	for _, s := range c.segments {
		got = append(got, s.place)
	}
	want := []place{{0, 0}, {0, 1}, {1, 1}, {0, 2}}
	if !slices.Equal(got, want) || c.segments[1].nodes[0] != near.Node() {
		t.Errorf("segments at part and level %v, want %v", got, want)
	}
}

// TestApart: states of one op on several parts are an error that names them.
func TestApart(t *testing.T) {
	b := newBed(t, 2, func(name string) int { return map[string]int{"v": 1}[name] })
	g := &ops.Graph{}
	cache := func(name string) ops.Value {
		return g.State(b.tensor(name, ops.MemState, make([]float32, 32*4), 1, 32, 1, 4))
	}
	q := g.Input("q", tensor.F32, 1, 1, 4)
	i := func(name string, shape ...int) ops.Value { return g.Input(name, tensor.I32, shape...) }
	y := ops.Attention(g, q, cache("k"), cache("v"), i("pos", 1), i("seq", 1), i("pages", 1, 1), ops.Value{},
		ops.AttentionAttrs{Scale: 1})
	if err := g.Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := b.d.Compile(g, nil, y); err == nil {
		t.Error("no error")
	}
}
