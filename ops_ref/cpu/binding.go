package cpu

import (
	"github.com/hipengine/hipengine/ops"
	opsref "github.com/hipengine/hipengine/ops_ref"
	"github.com/hipengine/hipengine/ops_ref/internal/par"
	"github.com/hipengine/hipengine/ops_ref/internal/simd"
)

// Binding is what a kernel sees of a plan that is being compiled.
type Binding struct {
	Node *ops.Node
	Call *opsref.Call[float32]

	plan *plan
	step *step
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

// PlainColumns returns input 0 of the node in panels of columns for weights as float32, see simd.PackFloatColumn.
func (b *Binding) PlainColumns() *activations { return b.plan.plainColumns(b.step) }

// Once returns the value of key, which make gives when it is first asked for, with a task that prepares it in each run
// before the node: tables and checks that several nodes share. make may return nil for a task.
func (b *Binding) Once(key any, make func() (any, Task)) any {
	p := b.plan
	v, ok := p.once[key]
	if !ok {
		var t Task
		if v, t = make(); t != nil {
			p.tasks = append(p.tasks, task{Task: t, step: b.step})
		}
		p.once[key] = v
	}
	return v
}
