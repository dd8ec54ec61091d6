package cpu

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/hipengine/hipengine/ops"
	opsref "github.com/hipengine/hipengine/ops_ref"
	"github.com/hipengine/hipengine/ops_ref/internal/cast"
	"github.com/hipengine/hipengine/ops_ref/internal/simd"
	"github.com/hipengine/hipengine/tensor"
)

// levels runs f at every level of instructions, and skips loudly those that the machine lacks.
func levels(t *testing.T, f func(t *testing.T)) {
	for _, l := range simd.Levels() {
		t.Run(l.String(), func(t *testing.T) {
			restore, ok := simd.Force(l)
			defer restore()
			if !ok {
				t.Skipf("SKIPPED: this machine or build has %v at most", simd.Current())
			}
			f(t)
		})
	}
}

// operands are the contents of a case's arguments: float32, or int32 as bytes.
type operands struct {
	floats [][]float32
	raw    [][]byte // in the type of the argument
}

// newOperands draws the operands of a case from a seed made of its name.
func newOperands(t *testing.T, d *ops.Def, c ops.Case) operands {
	t.Helper()
	h := fnv.New64a()
	h.Write([]byte(d.Name + c.Name))
	r := rand.New(rand.NewPCG(h.Sum64(), 1))
	var o operands
	for _, a := range c.Args {
		n := a.Shape.Elems()
		if a.DType == tensor.I32 {
			o.raw, o.floats = append(o.raw, cast.AsBytes(a.Ints)), append(o.floats, nil)
			continue
		}
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(r.NormFloat64())
			if a.Gen != nil {
				x[i] = a.Gen(r)
			}
		}
		size, err := tensor.Bytes(a.DType, a.Shape)
		if err != nil {
			t.Fatal(err)
		}
		raw := make([]byte, size)
		f, _ := a.DType.Format()
		f.Quant(raw, x)
		f.Dequant(x, raw) // what the device will see
		o.raw, o.floats = append(o.raw, raw), append(o.floats, x)
	}
	return o
}

// result is what a device computed: each result of the node.
type result [][]float64

// dirty returns an arena for g that is full of NaNs: kernels must not rely on what they find there.
func dirty(t testing.TB, dev ops.Device, g *ops.Graph, outs []ops.Value) *ops.Arena {
	t.Helper()
	n, err := dev.Caps().PlanBytes(g, outs...)
	if err != nil {
		t.Fatal(err)
	}
	var a ops.Arena
	if err := a.Grow(dev, n); err != nil {
		t.Fatal(err)
	}
	buf, _ := a.Buffer()
	for m := dev.Caps().Map(buf); len(m) > 0; m = m[1:] {
		m[0] = 0xff
	}
	return &a
}

// compute runs one case on a device.
func compute(t testing.TB, dev ops.Device, d *ops.Def, c ops.Case, in operands) result {
	t.Helper()
	g := &ops.Graph{}
	var args []ops.Value
	s, _ := dev.Stream()
	for i, a := range c.Args {
		name := fmt.Sprint("arg", i)
		if a.Leaf == ops.Input || a.Leaf == ops.NoLeaf {
			args = append(args, g.Input(name, a.DType, a.Shape...))
			continue
		}
		kind := ops.MemState
		if a.Leaf == ops.Weight {
			kind = ops.MemWeights
		}
		buf, err := dev.Alloc(int64(len(in.raw[i])), kind)
		if err != nil {
			t.Fatal(err)
		}
		x := tensor.Tensor{Name: name, DType: a.DType, Shape: a.Shape, Buf: buf}
		if a.Leaf == ops.Weight {
			x.Layout = dev.Layout(ops.WeightUse{DType: a.DType, Shape: a.Shape, Ops: []*ops.Def{d}})
		}
		if err := s.Upload(x, in.raw[i]); err != nil {
			t.Fatal(err)
		}
		if a.Leaf == ops.Weight {
			args = append(args, g.Weight(x))
		} else {
			args = append(args, g.State(x))
		}
	}
	outs := g.Add(d, c.Attrs, args...)
	a := dirty(t, dev, g, outs)
	p, err := dev.Compile(g, a, outs...)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := errors.Join(p.Close(), a.Free()); err != nil {
			t.Error(err)
		}
	}()
	for i, a := range c.Args {
		if x, ok := p.Input(fmt.Sprint("arg", i)); ok {
			if err := s.Upload(x, in.raw[i]); err != nil {
				t.Fatalf("%v: %v", a, err)
			}
		}
	}
	if err := s.Run(p); err != nil {
		t.Fatal(err)
	}
	var res result
	for i := range outs {
		x := p.Output(i)
		if wide, err := opsref.Float64s(x); err == nil {
			res = append(res, wide)
			continue
		}
		size, _ := tensor.Bytes(x.DType, x.Shape)
		raw := make([]byte, size)
		if err := s.Download(raw, x); err != nil {
			t.Fatal(err)
		}
		v := make([]float64, x.Shape.Elems())
		if x.DType == tensor.I32 {
			for j := range v {
				v[j] = float64(int32(binary.LittleEndian.Uint32(raw[4*j:])))
			}
		} else {
			f, _ := x.DType.Format()
			narrow := make([]float32, len(v))
			f.Dequant(narrow, raw)
			for j, y := range narrow {
				v[j] = float64(y)
			}
		}
		res = append(res, v)
	}
	return res
}

// forFast calls f for each case of each op that has a fast kernel.
func forFast(t *testing.T, f func(t *testing.T, d *ops.Def, c ops.Case)) {
	for _, d := range ops.Defs() {
		if kernels[d] == nil {
			continue
		}
		for _, c := range d.Cases() {
			t.Run(d.Name+"/"+c.Name, func(t *testing.T) { f(t, d, c) })
		}
	}
}

// dependsOnLevel reports whether an op's bits are those of its level alone: products on tiles are.
func dependsOnLevel(d *ops.Def, l simd.Level) bool {
	return l == simd.AMX && (d == ops.MulMatOp || d == ops.MulMatExpertsOp || d == ops.MulMatSomeExpertsOp ||
		d == ops.AttentionOp || d == ops.LatentAttentionOp)
}

// isInteger reports whether weights of type dt are multiplied as integers.
func isInteger(dt tensor.DType) bool {
	_, integer := integerFormats[dt]
	_, converted := conversions[dt]
	return integer || converted
}

// TestFastBits checks that a fast kernel gives the same bits with any number of threads and, where it says so, at any
// level.
func TestFastBits(t *testing.T) {
	var devs []*Device
	threads := []int{1, 3, 2}
	if testing.Short() {
		t.Log("SKIPPED: -short leaves one of three numbers of threads to make long")
		threads = threads[:2]
	}
	for _, n := range threads {
		d := New(Options{Threads: n})
		defer d.Close()
		devs = append(devs, d)
	}
	forFast(t, func(t *testing.T, d *ops.Def, c ops.Case) {
		in := newOperands(t, d, c)
		var want result
		for _, l := range simd.Levels()[1:] {
			restore, ok := simd.Force(l)
			defer restore()
			if !ok {
				t.Logf("SKIPPED: no %v", l)
				continue
			}
			for i, dev := range devs {
				got := compute(t, dev, d, c, in)
				if want == nil {
					want = got
				}
				if i == 0 && dependsOnLevel(d, l) {
					want = got
				}
				for r := range want {
					for j, w := range want[r] {
						if g := got[r][j]; math.Float64bits(g) != math.Float64bits(w) && (g == g || w == w) {
							t.Fatalf("%v, %d threads: element %d of result %d is %v, want %v", l, threads[i], j, r, g, w)
						}
					}
				}
			}
		}
	})
}

// TestFastError compares fast kernels with the float64 oracle: an element may be off by four times what the worst
// element of the float32 reference is off, and by what the kernel's arithmetic costs, see slack.
func TestFastError(t *testing.T) {
	ref, oracle := opsref.New(opsref.Options{}), opsref.New(opsref.Options{Oracle: true})
	fast := New(Options{Threads: 2})
	defer ref.Close()
	defer oracle.Close()
	defer fast.Close()
	worst := map[string]float64{}
	type scalar struct {
		in         operands
		want, base result
		slacks     map[bool]result // by what levels change of them
	}
	known := map[string]scalar{} // by case: levels mean nothing to the scalar devices
	level, at := 0, 0
	levels(t, func(t *testing.T) {
		level++
		at = 0
		forFast(t, func(t *testing.T, d *ops.Def, c ops.Case) {
			if at++; testing.Short() && (at+level)%8 > 0 {
				t.Skip("SKIPPED: -short leaves seven of eight cases of a level to make long")
			}
			k, ok := known[d.Name+"/"+c.Name]
			if !ok {
				k.in, k.slacks = newOperands(t, d, c), map[bool]result{}
				k.want, k.base = compute(t, oracle, d, c, k.in), compute(t, ref, d, c, k.in)
				known[d.Name+"/"+c.Name] = k
			}
			want, base, got := k.want, k.base, compute(t, fast, d, c, k.in)
			extra := k.slacks[simd.RoundsColumns()]
			if extra == nil {
				for r := range want {
					extra = append(extra, make([]float64, len(want[r])))
					of := slack(d, c, k.in, want, r)
					for j := range extra[r] {
						extra[r][j] = of(j)
					}
				}
				k.slacks[simd.RoundsColumns()] = extra
			}
			for r := range want {
				var own float64
				for j, w := range want[r] {
					own = math.Max(own, math.Abs(base[r][j]-w))
				}
				for j, w := range want[r] {
					e, bound := math.Abs(got[r][j]-w), 4*own+extra[r][j]
					if e > 0 {
						worst[d.Name] = math.Max(worst[d.Name], e/bound)
					}
					if !(e <= bound) {
						t.Fatalf("result %d, element %d is %v, want %v: off by %g, bound %g, reference off by %g", r,
							j, got[r][j], w, e, bound, own)
					}
				}
			}
		})
	})
	t.Logf("largest error as a share of its bound: %v", worst)
}
