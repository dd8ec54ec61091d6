package opsref

import (
	"errors"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_ref/internal/pages"
	"github.com/hipengine/hipengine/ops_ref/internal/par"
	"github.com/hipengine/hipengine/ops_ref/internal/simd"
)

// A Task is one node of a fast plan, ready to run. All workers of a run call Run at the same time, and all of them
// return before the next task starts. Errors are found by worker 0 (or by all alike), before any worker waits for
// another inside Run. Run allocates nothing.
type Task interface {
	Run(w *par.Worker) error

	// Reset makes the task ready for the next run. No worker is running.
	Reset()
}

// Bind returns the task of a node, or nil to leave the node to the reference kernel.
type Bind func(b *Binding) Task

var fastKernels = map[*ops.Def]Bind{}

// RegisterFast installs the fast kernel of d beside the reference kernel. Files named after the op call it from init.
func RegisterFast(d *ops.Def, b Bind) {
	if _, ok := fastKernels[d]; ok {
		panic("opsref: duplicate fast kernel for " + d.Name)
	}
	fastKernels[d] = b
}

// Binding is what a fast kernel sees of a plan that is being compiled.
type Binding struct {
	Node *ops.Node
	Call *Call[float32]

	plan *fastPlan
	step *step[float32]
}

// Scratch returns memory for the task's use while it runs: shared bytes for all workers together, and local bytes
// for each. The contents are undefined, and gone when the next task starts.
func (b *Binding) Scratch(shared, local int) *scratch {
	s := &b.plan.work.scratch
	s.sharedSize, s.localSize = max(s.sharedSize, shared), max(s.localSize, local)
	return s
}

// Shares returns what hands out the ranges of a loop over weights; the task's Reset resets it.
func (b *Binding) Shares() par.Shares { return par.NewShares(b.plan.pool.Threads()) }

// Activations returns input 0 of the node, quantized for weights of type f. Nodes with the same input share it.
func (b *Binding) Activations(f simd.Format) *activations { return b.plan.quantized(b.step, f, false) }

// Columns returns input 0 of the node in panels of columns for panels of weights of type f: see simd.Format.MulPanels.
func (b *Binding) Columns(f simd.Format) *activations {
	if simd.RoundsColumns() {
		return b.FloatColumns(simd.Rounded)
	}
	return b.plan.quantized(b.step, f, true)
}

// FloatColumns returns input 0 of the node in panels of columns for weights of type t, see simd.FloatType.PackFloats.
func (b *Binding) FloatColumns(t simd.FloatType) *activations { return b.plan.floatColumns(b.step, t) }

// Once returns the value of key, which make gives when it is first asked for, with a task that prepares it in each run
// before the node: tables and checks that several nodes share. make may return nil for a task.
func (b *Binding) Once(key any, make func() (any, Task)) any {
	p := b.plan
	v, ok := p.once[key]
	if !ok {
		var t Task
		if v, t = make(); t != nil {
			p.tasks = append(p.tasks, fastTask{t, b.step})
		}
		p.once[key] = v
	}
	return v
}

// check is a task that looks at operands before nodes use them.
type check struct {
	fixed
	f func() error
}

// Run lets one worker look; the others wait for it at the task's end.
func (c check) Run(w *par.Worker) error {
	if w.ID != 0 {
		return nil
	}
	return c.f()
}

// workspace is the memory that the plans of a device use in turn. It only grows, while no plan runs.
type workspace struct {
	scratch scratch
	acts    map[actLayout]*activations
}

// scratch is the part that tasks use in turn.
type scratch struct {
	sharedSize, localSize int
	shared                region
	local                 []region // by worker
}

// region is memory that only grows. What it held is gone then.
type region struct {
	b   []byte
	mem *pages.Memory
}

// wideRegion is the size from which a region fills huge pages: kernels walk through it again and again, and small pages
// cost them up to a tenth of their time.
const wideRegion = 256 << 10

func (r *region) grow(size int) error {
	if len(r.b) >= size {
		return nil
	}
	if size >= wideRegion {
		size = (size + pages.Huge - 1) / pages.Huge * pages.Huge
	}
	m, err := pages.New(int64(size))
	if err != nil {
		return err
	}
	r.release()
	r.b, r.mem = m.Bytes(), m
	return nil
}

func (r *region) release() {
	if r.mem != nil {
		r.mem.Release()
	}
	*r = region{}
}

// grow makes everything as large as plans have asked for.
func (w *workspace) grow(threads int) error {
	s := &w.scratch
	if s.local == nil {
		s.local = make([]region, threads)
	}
	err := s.shared.grow(s.sharedSize)
	for i := range s.local {
		err = errors.Join(err, s.local[i].grow(s.localSize))
	}
	for _, a := range w.acts {
		err = errors.Join(err, a.grow(a.size))
	}
	return err
}

// release gives the memory back, when no plan runs any more.
func (w *workspace) release() {
	w.scratch.shared.release()
	for i := range w.scratch.local {
		w.scratch.local[i].release()
	}
	for _, a := range w.acts {
		a.release()
	}
}

// shared is the part of a task whose workers take ranges of a loop as they get free.
type shared struct{ next par.Counter }

// Reset starts the loop over.
func (s *shared) Reset() { s.next.Reset() }

// fixed is the part of a task that divides its work evenly.
type fixed struct{}

// Reset does nothing.
func (fixed) Reset() {}

// evenly returns the part of n indexes that is w's, in units of grain, so that little work stays on few workers.
func evenly(w *par.Worker, n, grain int) (lo, hi int) {
	units := (n + grain - 1) / grain
	lo = units * w.ID / w.Threads() * grain
	hi = units * (w.ID + 1) / w.Threads() * grain
	return min(lo, n), min(hi, n)
}
