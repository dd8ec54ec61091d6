package cpu

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/hipengine/hipengine/ops"
	opsref "github.com/hipengine/hipengine/ops_ref"
	"github.com/hipengine/hipengine/ops_ref/internal/cast"
	"github.com/hipengine/hipengine/ops_ref/internal/par"
	"github.com/hipengine/hipengine/ops_ref/internal/simd"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// weightOf returns a weight of random numbers on dev.
func weightOf(t *testing.T, dev *Device, g *ops.Graph, dt tensor.DType, rows, k int) ops.Value {
	t.Helper()
	r := rand.New(rand.NewPCG(60, uint64(dt)))
	x := make([]float32, rows*k)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	f, _ := dt.Format()
	raw := make([]byte, rows*k/f.Block*f.Bytes)
	f.Quant(raw, x)
	buf, err := dev.Alloc(int64(len(raw)), ops.MemWeights)
	if err != nil {
		t.Fatal(err)
	}
	w := tensor.Tensor{Name: "w", DType: dt, Shape: tensor.Shape{rows, k}, Buf: buf}
	w.Layout = dev.Layout(ops.WeightUse{DType: dt, Shape: w.Shape, Ops: []*ops.Def{ops.MulMatOp}})
	s, _ := dev.Stream()
	if err := s.Upload(w, raw); err != nil {
		t.Fatal(err)
	}
	return g.Weight(w)
}

// products records two products of one input, a third of what the second gives, and their outputs.
func products(t *testing.T, dev *Device, dt tensor.DType, k, tokens int) (*ops.Graph, []ops.Value) {
	g := &ops.Graph{}
	x := g.Input("x", tensor.F32, tokens, k)
	a := ops.MulMat(g, x, weightOf(t, dev, g, dt, k, k))
	b := ops.MulMat(g, x, weightOf(t, dev, g, dt, k, k))
	c := ops.MulMat(g, b, weightOf(t, dev, g, dt, k, k))
	return g, []ops.Value{a, b, c}
}

// TestTasksThatNeedNotWait checks that products of one input follow one another without waiting, and that none starts
// before what it reads is there; and that workers know which weights come next.
func TestTasksThatNeedNotWait(t *testing.T) {
	if simd.Current() == simd.Generic {
		t.Skip("SKIPPED: this machine or build has no vector kernels, and the reference's tasks all wait")
	}
	for _, dt := range []tensor.DType{quant.Q8_0, tensor.F32} {
		dev := New(Options{Threads: 2})
		g, outs := products(t, dev, dt, 256, 1)
		compiled, err := dev.Compile(g, nil, outs...)
		if err != nil {
			t.Fatal(err)
		}
		p := compiled.(*plan)
		var open []bool
		for i, x := range p.tasks {
			if _, ok := x.Task.(reader); ok {
				open = append(open, x.open)
				if i > 0 && p.tasks[i-1].next != i {
					t.Errorf("%v: task %d fetches for task %d, not %d", dt, i-1, p.tasks[i-1].next, i)
				}
			} else if x.open {
				t.Errorf("%v: task %d, %T, does not wait", dt, i, x.Task)
			}
		}
		if !slices.Equal(open, []bool{true, false, false}) {
			t.Errorf("%v: products without a wait behind them: %v", dt, open)
		}
		if last := p.tasks[len(p.tasks)-1]; last.next != 0 {
			t.Errorf("%v: the last task fetches for %d", dt, last.next)
		}
		p.Close()
		dev.Close()
	}
}

// TestWeightsAhead checks that workers fetch the beginnings of their own shares, and no more than they may.
func TestWeightsAhead(t *testing.T) {
	const rows, k = 600, 1024
	product := &mulMatFloat{next: par.NewShares(2), tokens: 1,
		matrix: matrix{data: make([]byte, 4*rows*k), rowBytes: 4 * k, rows: rows, k: k}}
	tasks := []task{{}, {Task: product}}
	pool := par.New(2)
	defer pool.Close()
	if err := pool.Run(func(w *par.Worker) {
		var a ahead
		a.start(w, tasks, 1)
		lo, _ := product.next.First(w, product.grain(w), rows)
		if len(a.rest) != aheadBytes || &a.rest[0] != &product.data[lo*product.rowBytes] {
			t.Errorf("worker %d fetches %d bytes, not from its first row %d on", w.ID, len(a.rest), lo)
		}
		n := 0
		for a.fetch() {
			n++
		}
		if n != aheadBytes/fetchBytes {
			t.Errorf("worker %d fetches %d times", w.ID, n)
		}
		if a.start(w, tasks, 0); a.fetch() {
			t.Errorf("worker %d fetches for no task", w.ID)
		}
	}); err != nil {
		t.Fatal(err)
	}
}

// TestOpenTasksKeepBits runs products that do not wait for one another many times, and after a run that failed.
func TestOpenTasksKeepBits(t *testing.T) {
	const k, tokens = 256, 3
	x := make([]float32, tokens*k)
	for i := range x {
		x[i] = float32(i%17) - 8
	}
	var want [][]float32
	for _, threads := range []int{1, 2, 3} {
		dev := New(Options{Threads: threads})
		g, outs := products(t, dev, quant.Q4_K, k, tokens)
		p, err := dev.Compile(g, nil, outs...)
		if err != nil {
			t.Fatal(err)
		}
		s, _ := dev.Stream()
		in, _ := p.Input("x")
		for round := range 20 {
			if round == 10 { // as a run that stopped in the middle leaves its tasks
				p.(*plan).ready = false
				for i := range p.(*plan).tasks {
					if m, ok := p.(*plan).tasks[i].Task.(*mulMatInteger); ok {
						m.next.Take(&par.Worker{}, 16, m.rows)
					}
				}
			}
			if err := s.Upload(in, cast.AsBytes(x)); err != nil {
				t.Fatal(err)
			}
			if err := s.Run(p); err != nil {
				t.Fatal(err)
			}
			var got [][]float32
			for i := range outs {
				y := make([]float32, tokens*k)
				if err := s.Download(cast.AsBytes(y), p.Output(i)); err != nil {
					t.Fatal(err)
				}
				got = append(got, y)
			}
			if want == nil {
				want = got
			}
			for i := range want {
				if !slices.Equal(got[i], want[i]) {
					t.Fatalf("%d threads, run %d: product %d differs", threads, round, i)
				}
			}
		}
		p.Close()
		dev.Close()
	}
}

// TestTasksOfOneWorker checks that small tasks that one worker runs anyhow follow one another without a wait, though
// each reads what the one before wrote, and that larger ones wait; both give the numbers of the reference.
func TestTasksOfOneWorker(t *testing.T) {
	const n = 256
	for _, tokens := range []int{1, 64} {
		g := &ops.Graph{}
		x := g.Input("x", tensor.F32, tokens, n)
		y := ops.Add(g, x, x)
		z := ops.Mul(g, y, x)
		dev, ref := New(Options{Threads: 3}), opsref.New(opsref.Options{})
		in := make([]float32, tokens*n)
		for i := range in {
			in[i] = float32(i%31) / 8
		}
		var got [2][]float32
		for i, d := range []ops.Device{dev, ref} {
			p, err := d.Compile(g, nil, z)
			if err != nil {
				t.Fatal(err)
			}
			if mine, ok := p.(*plan); ok && mine.tasks[0].open != (tokens == 1) {
				t.Errorf("%d tokens: the second task waits: %v", tokens, !mine.tasks[0].open)
			}
			s, _ := d.Stream()
			to, _ := p.Input("x")
			got[i] = make([]float32, tokens*n)
			for _, err := range []error{s.Upload(to, cast.AsBytes(in)), s.Run(p), s.Run(p),
				s.Download(cast.AsBytes(got[i]), p.Output(0))} {
				if err != nil {
					t.Fatal(err)
				}
			}
			p.Close()
		}
		if !slices.Equal(got[0], got[1]) {
			t.Errorf("%d tokens: the results differ from the reference's", tokens)
		}
		dev.Close()
		ref.Close()
	}
}

// TestEvenly checks that parts cover each index once, in whole units, and that worker 0 has a single one.
func TestEvenly(t *testing.T) {
	for _, threads := range []int{1, 2, 5} {
		p := par.New(threads)
		for _, n := range []int{0, 1, 5, 6, 7, 100} {
			ends := make([][2]int, threads)
			if err := p.Run(func(w *par.Worker) { ends[w.ID][0], ends[w.ID][1] = evenly(w, n, 6) }); err != nil {
				t.Fatal(err)
			}
			next := 0
			for id, e := range ends {
				if e[0] != next || e[1] < e[0] || e[1] != n && e[1]%6 != 0 {
					t.Errorf("%d threads: worker %d has %d to %d of %d, behind %d", threads, id, e[0], e[1], n, next)
				}
				next = e[1]
			}
			if next != n || n <= 6 && ends[0][1] != n {
				t.Errorf("%d threads: parts of %d are %v", threads, n, ends)
			}
		}
		p.Close()
	}
}
