package cpu

import (
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_ref/internal/par"
)

// A Task is one node of a plan, ready to run. All workers of a run call Run at the same time, and all of them
// return before the next task starts. Errors are found by worker 0 (or by all alike), before any worker waits for
// another inside Run. Run allocates nothing.
type Task interface {
	Run(w *par.Worker) error

	// Reset makes the task ready for the next run. No worker is running.
	Reset()
}

// Bind returns the task of a node, or nil to leave the node to the reference kernel.
type Bind func(b *Binding) Task

var kernels = map[*ops.Def]Bind{}

// Register installs the kernel of d. Files named after the op call it from init.
func Register(d *ops.Def, b Bind) {
	if _, ok := kernels[d]; ok {
		panic("cpu: duplicate kernel for " + d.Name)
	}
	kernels[d] = b
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

// shared is the part of a task whose workers take ranges of a loop as they get free.
type shared struct{ next par.Counter }

// Reset starts the loop over.
func (s *shared) Reset() { s.next.Reset() }

// fixed is the part of a task that divides its work evenly.
type fixed struct{}

// Reset does nothing.
func (fixed) Reset() {}

// A divided task computes units of its indexes, whose number and the indexes of a unit extent returns. A single unit is
// worker 0's. Its Run returns no error, and waits for no other worker.
type divided interface {
	extent() (n, grain int)
}

// part returns the part of t that is w's.
func part(w *par.Worker, t divided) (lo, hi int) {
	n, grain := t.extent()
	return evenly(w, n, grain)
}

// evenly returns the part of n indexes that is w's, in units of grain, so that little work stays on few workers, and
// that of a single unit on worker 0.
func evenly(w *par.Worker, n, grain int) (lo, hi int) {
	units, threads := (n+grain-1)/grain, w.Threads()
	lo = (units*w.ID + threads - 1) / threads * grain
	hi = (units*(w.ID+1) + threads - 1) / threads * grain
	return min(lo, n), min(hi, n)
}
