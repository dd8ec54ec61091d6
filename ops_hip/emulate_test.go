package opship

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_hip/codeobj"
	_ "github.com/hipengine/hipengine/ops_hip/codeobj/all"
	"github.com/hipengine/hipengine/ops_hip/internal/rdna"
	opsref "github.com/hipengine/hipengine/ops_ref"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// emulated are the targets that tests execute: one of each generation of instructions, or those that the environment
// variable HIPENGINE_TEST_TARGETS lists ("gfx1100,gfx1101").
var emulated = func() []string {
	if list := os.Getenv("HIPENGINE_TEST_TARGETS"); list != "" {
		return strings.Split(list, ",")
	}
	return []string{"gfx1100", "gfx1151", "gfx1201"}
}()

// objects returns the compiled kernels of a target.
func objects(t testing.TB, target string) codeobj.Set {
	t.Helper()
	set, err := codeobj.For(target, os.Getenv(codeobj.EnvDir))
	if err != nil {
		t.Skipf("no kernels to execute: %v", err)
	}
	return set
}

// problem is a node with the contents of its inputs.
type problem struct {
	node *ops.Node
	data [][]byte // of each input
}

// newProblem fills the operands of a case from its name.
func newProblem(t testing.TB, op *ops.Def, c ops.Case) *problem {
	t.Helper()
	h := fnv.New64()
	_, _ = h.Write([]byte(op.Name + "/" + c.Name))
	r := rand.New(rand.NewPCG(h.Sum64(), 1))
	g, p := &ops.Graph{}, &problem{}
	var in []ops.Value
	for i, a := range c.Args {
		if a.DType == tensor.Invalid {
			a.DType = tensor.F32
		}
		p.data = append(p.data, fill(t, a, r))
		ten := tensor.Tensor{Name: fmt.Sprint("in", i), DType: a.DType, Shape: a.Shape}
		switch a.Leaf {
		case ops.Weight:
			ten.Layout = LayoutOf(ops.WeightUse{Name: ten.Name, DType: ten.DType, Shape: ten.Shape,
				Ops: []*ops.Def{op}})
			in = append(in, g.Weight(ten))
		case ops.State:
			in = append(in, g.State(ten))
		default:
			in = append(in, g.Input(ten.Name, a.DType, a.Shape...))
		}
	}
	out := g.Add(op, c.Attrs, in...)
	if err := g.Err(); err != nil {
		t.Fatal(err)
	}
	p.node = out[0].Node()
	return p
}

// fill returns the stored elements of an operand.
func fill(t testing.TB, a ops.Arg, r *rand.Rand) []byte {
	t.Helper()
	if a.DType == tensor.I32 {
		var b []byte
		for _, x := range a.Ints {
			b = binary.LittleEndian.AppendUint32(b, uint32(x))
		}
		return b
	}
	x := make([]float32, a.Shape.Elems())
	for i := range x {
		x[i] = float32(r.NormFloat64())
		if a.Gen != nil {
			x[i] = a.Gen(r)
		}
	}
	n, err := tensor.Bytes(a.DType, a.Shape)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, n)
	importance := make([]float32, a.Shape.Last())
	for i := range importance {
		importance[i] = 1
	}
	if !quant.RequiresImatrix(a.DType) {
		importance = nil
	}
	if err := quant.Quantize(a.DType, b, x, a.Shape.Last(), importance); err != nil {
		t.Fatal(err)
	}
	return b
}

// reference runs p on a device of package ops_ref. Results are as stored; those that the oracle computes as
// float64 are also returned as such.
func (p *problem) reference(t testing.TB, o opsref.Options) (stored [][]byte, wide [][]float64) {
	t.Helper()
	dev := opsref.New(o)
	defer dev.Close()
	s, err := dev.Stream()
	must(t, err)
	g := &ops.Graph{}
	var in []ops.Value
	for i, v := range p.node.In {
		leaf := v.Node()
		if leaf.Leaf == ops.Input {
			in = append(in, g.Input(leaf.Name, v.DType(), v.Shape()...))
			continue
		}
		buf, err := dev.Alloc(int64(len(p.data[i])), ops.MemState)
		must(t, err)
		ten := tensor.Tensor{Name: leaf.Name, DType: v.DType(), Shape: v.Shape(), Buf: buf}
		must(t, s.Upload(ten, p.data[i]))
		if leaf.Leaf == ops.State {
			in = append(in, g.State(ten))
		} else {
			in = append(in, g.Weight(ten))
		}
	}
	outs := g.Add(p.node.Op, p.node.Attrs, in...)
	plan, err := dev.Compile(g, nil, outs...)
	must(t, err)
	for i, v := range p.node.In {
		if leaf := v.Node(); leaf.Leaf == ops.Input {
			ten, _ := plan.Input(leaf.Name)
			must(t, s.Upload(ten, p.data[i]))
		}
	}
	must(t, s.Run(plan))
	for i := range outs {
		out := plan.Output(i)
		n, err := tensor.Bytes(out.DType, out.Shape)
		must(t, err)
		b := make([]byte, n)
		must(t, s.Download(b, out))
		stored = append(stored, b)
		w, err := opsref.Float64s(out)
		if err != nil {
			w = nil
		}
		wide = append(wide, w)
	}
	return stored, wide
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// emulator executes launches of one target. Modules stay loaded.
type emulator struct {
	target  *Target
	set     codeobj.Set
	dev     *rdna.Device
	modules map[string]*rdna.Module
	checks  rdna.Checks

	counters uint64 // where those of the steps are
	counted  int
}

func newEmulator(t testing.TB, target string) *emulator {
	return &emulator{target: NewTarget(target, 0), set: objects(t, target), dev: rdna.NewDevice(0),
		modules: map[string]*rdna.Module{},
		checks:  rdna.Checks{AllChecks: true}}
}

// run executes kernel k on p and returns the results as stored. Memory that the kernel does not write reads as NaN.
func (e *emulator) run(t testing.TB, p *problem, k Kernel) [][]byte {
	t.Helper()
	node := *p.node
	steps, err := alone(&node, k, e.target)
	must(t, err)
	at := map[ops.Value]uint64{}
	alloc := func(data []byte, n int64) uint64 {
		a, err := e.dev.Alloc(n)
		must(t, err)
		if data != nil {
			must(t, e.dev.Write(a, data))
		}
		t.Cleanup(func() { _ = e.dev.Free(a) })
		return a
	}
	for i, v := range p.node.In {
		data := p.data[i]
		if l := v.Node().Tensor.Layout; !l.IsZero() {
			data = make([]byte, l.Bytes)
			layouts[v.DType()].repackRows(data, p.data[i], v.Shape().Last())
		}
		at[v] = alloc(data, int64(len(data)))
	}
	place := func(n *ops.Node) {
		for r, typ := range n.Out {
			v := n.Result(r)
			if i := n.Op.Storage(r); i >= 0 {
				at[v] = at[n.In[i]]
				continue
			}
			size, err := tensor.Bytes(typ.DType, typ.Shape)
			must(t, err)
			at[v] = alloc(nil, size)
		}
	}
	scratch := int64(0)
	for _, s := range steps {
		place(s.node)
		for _, l := range s.launches {
			scratch = max(scratch, l.Scratch)
		}
	}
	if scratch > 0 {
		at[ops.Value{}] = alloc(nil, scratch)
	}
	e.counters, e.counted = 0, counters(steps)
	if e.counted > 0 {
		e.counters = alloc(make([]byte, 4*e.counted), int64(4*e.counted))
	}
	for _, s := range steps {
		for _, l := range s.launches {
			e.launch(t, &l, at)
		}
	}
	left := make([]byte, 4*e.counted)
	if e.counted > 0 {
		must(t, e.dev.Read(left, e.counters))
	}
	if slices.ContainsFunc(left, func(b byte) bool { return b != 0 }) {
		t.Errorf("%s: counters are not 0 in the end", k.Name)
	}
	var out [][]byte
	for r, typ := range node.Out {
		size, err := tensor.Bytes(typ.DType, typ.Shape)
		must(t, err)
		b := make([]byte, size)
		must(t, e.dev.Read(b, at[node.Result(r)]))
		out = append(out, b)
	}
	return out
}

// launch executes l with its values at the given addresses.
func (e *emulator) launch(t testing.TB, l *Launch, at map[ops.Value]uint64) {
	t.Helper()
	m := e.modules[l.Object]
	if m == nil {
		b, err := e.set.Read(l.Object)
		must(t, err)
		m, err = e.dev.Load(e.target.Name, b)
		must(t, err)
		e.modules[l.Object] = m
	}
	args := append([]byte(nil), l.Args.buf...)
	for _, r := range l.Args.relocs {
		a, ok := at[r.value]
		if r.counters {
			a, ok = e.counters, true
		}
		if !ok {
			t.Fatalf("%s: an argument is neither input, result nor scratch", l.Symbol)
		}
		binary.LittleEndian.PutUint64(args[r.at:], a+uint64(r.off))
	}
	_, err := m.Launch(context.Background(), l.Symbol, dims(l.Grid), dims(l.Block), 0, args,
		rdna.Options{Checks: e.checks})
	if err != nil {
		t.Fatalf("%s: %v", l.Symbol, err)
	}
}

func dims(d [3]uint32) [3]uint32 { return [3]uint32{max(1, d[0]), max(1, d[1]), max(1, d[2])} }

// nmse is the normalized mean square error, and worst the largest absolute one over the largest magnitude.
func errorsOf(got []float32, want []float64) (nmse, worst float64) {
	var e2, w2, top float64
	for i, w := range want {
		g := float64(got[i])
		if w-w != 0 && (g == w || g != g && w != w) {
			continue // as it should be, and no number
		}
		d := math.Abs(g - w)
		if d != d {
			return math.NaN(), math.NaN()
		}
		e2, w2 = e2+d*d, w2+w*w
		worst, top = max(worst, d), max(top, math.Abs(w))
	}
	if w2 == 0 {
		return e2, worst
	}
	return e2 / w2, worst / top
}

// bounds of the normalized mean square error, by how a kernel rounds its operands. Rounding to p bits has a relative
// error of at most 2^-p, uniform within: a mean square of a third of the square of that, for each operand. The
// factor 4 is for the shape of the distribution.
const (
	boundFloat = 1e-9            // sums in float, some of which cancel to a hundredth of their terms
	boundHalf  = 8 * 0x1p-24 / 3 // 11 bits, both operands
	boundBHalf = 8 * 0x1p-18 / 3 // 8 bits
	boundCode  = 1e-10           // 24-bit codes, which are 2^-23 of the standard deviation off; sums as in boundFloat
)

func bound(kernel string, n *ops.Node) float64 {
	// two products, and what the activation makes of the first's
	if n.Op == ops.MulMatSwiGLUOp || n.Op == ops.MulMatGeGLUOp {
		return 3 * boundOf(kernel, n)
	}
	return boundOf(kernel, n)
}

func boundOf(kernel string, n *ops.Node) float64 {
	switch {
	case strings.HasSuffix(kernel, "_mma") && strings.Contains(kernel, "mixture"):
		return 4 * boundHalf // three products after each other
	case strings.HasSuffix(kernel, "_mma") &&
		slices.ContainsFunc(n.In, func(v ops.Value) bool { return v.DType() == tensor.BF16 }):
		return boundBHalf
	case strings.HasSuffix(kernel, "attention_mma"):
		return 2 * boundHalf // weights of values come of a product
	case strings.HasSuffix(kernel, "_skinny"):
		return boundHalf * byChance(n)
	case strings.HasSuffix(kernel, "_mma") || kernel == "latent_attention_shared":
		return boundHalf
	case strings.HasSuffix(kernel, "_dot") || strings.HasSuffix(kernel, "_stream"):
		return boundCode
	}
	return boundFloat
}

// byChance returns how much more than expected errors may be in the result of n with the fewest elements, since the mean
// squares of few errors, and of the few numbers that they are compared with, are far from what is expected now and then.
// The quotient of two mean squares of n normal numbers follows Fisher's F; from 3 elements to 30, 1 + 30/n is near the
// 97th percentile of that.
func byChance(n *ops.Node) float64 {
	fewest := math.MaxInt
	for _, typ := range n.Out {
		fewest = min(fewest, typ.Shape.Elems())
	}
	return 1 + 30/float64(fewest)
}

// TestKernels executes every kernel that matches a conformance case and compares it with the oracle.
func TestKernels(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: -short leaves the emulator out; make emulator runs it")
	}
	for _, target := range emulated {
		t.Run(target, func(t *testing.T) {
			e := newEmulator(t, target)
			for _, op := range ops.Defs() {
				for _, c := range kernelCases(op) {
					p := newProblem(t, op, c)
					var stored [][]byte
					var wide [][]float64
					for _, k := range kernels[op] {
						if k.Match(p.node, e.target) < 0 {
							continue
						}
						if stored == nil {
							stored, wide = p.reference(t, opsref.Options{Oracle: true})
						}
						t.Run(k.Name+"/"+c.Name, func(t *testing.T) {
							compare(t, p, e.run(t, p, k), stored, wide,
								bound(k.Name, p.node))
						})
					}
				}
			}
		})
	}
}

// nearlyStored reports whether two results are the same but for what lies between two stored values and fell to either
// side.
func nearlyStored(t *testing.T, typ ops.Type, got, want []byte) bool {
	t.Helper()
	wide := make([]float64, typ.Shape.Elems())
	a, b := make([]float32, len(wide)), make([]float32, len(wide))
	must(t, quant.Dequantize(typ.DType, a, got))
	must(t, quant.Dequantize(typ.DType, b, want))
	differ := 0
	for i, x := range b {
		wide[i] = float64(x)
		if x != a[i] {
			differ++
		}
	}
	nmse, _ := errorsOf(a, wide)
	return nmse <= boundBHalf/16 && differ <= len(wide)/100
}

func compare(t *testing.T, p *problem, got, stored [][]byte, wide [][]float64, limit float64) {
	t.Helper()
	for r, typ := range p.node.Out {
		want := wide[r]
		switch {
		case want != nil:
		case typ.DType == tensor.F32: // a state, which the oracle stores as float32
			for _, x := range floats(stored[r]) {
				want = append(want, float64(x))
			}
		default:
			if string(got[r]) != string(stored[r]) &&
				!(p.node.Op == ops.SelfAttentionOp && nearlyStored(t, typ, got[r], stored[r])) {
				t.Errorf("result %d: bytes differ", r)
			}
			continue
		}
		nmse, worst := errorsOf(floats(got[r]), want)
		t.Logf("result %d: nmse %.2g worst %.2g", r, nmse, worst)
		if !(nmse <= limit) {
			t.Errorf("result %d: nmse %g, at most %g", r, nmse, limit)
		}
	}
}
