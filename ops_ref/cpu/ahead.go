package cpu

import (
	opsref "github.com/hipengine/hipengine/ops_ref"
	"github.com/hipengine/hipengine/ops_ref/internal/cast"
	"github.com/hipengine/hipengine/ops_ref/internal/par"
	"github.com/hipengine/hipengine/ops_ref/internal/simd"
)

// A loose task is one that need not wait for the task before it if neither writes what the other reads or writes, by
// the operands of their nodes: it keeps nothing in memory that workers share, and its Run returns no error.
type loose interface{ loose() }

func (*mulMatInteger) loose() {}
func (*mulMatFloat) loose()   {}
func (*ropeTask) loose()      {}
func (*normRopeTask) loose()  {}
func (*kvAppendTask) loose()  {}

// A reader is a task that reads long runs of memory: reads returns what the worker reads first.
type reader interface {
	reads(w *par.Worker) []byte
}

// aheadBytes is the most of a task's weights that a worker fetches while it waits for others in the tasks before: a
// part of the second cache, in which other things are too.
const aheadBytes = 256 << 10

// fetchBytes are fetched between two looks at what the worker waits for.
const fetchBytes = 4 << 10

// ahead fetches weights while a worker waits, so that memory does not.
type ahead struct {
	task int    // whose weights
	rest []byte // not fetched yet
	step func() bool
	_    [64]byte // workers do not share cache lines
}

// start prepares for a task.
func (a *ahead) start(w *par.Worker, tasks []task, next int) {
	a.task, a.rest = next, nil
	if next > 0 {
		all := tasks[next].Task.(reader).reads(w)
		a.rest = all[:min(len(all), aheadBytes)]
	}
}

// fetch is what a worker does while it waits.
func (a *ahead) fetch() bool {
	n := min(len(a.rest), fetchBytes)
	simd.Prefetch(a.rest[:n])
	a.rest = a.rest[n:]
	return n > 0
}

// order decides which tasks wait for the one before, and what workers fetch while they wait.
func (p *plan) order() {
	next := 0
	for i := len(p.tasks) - 1; i >= 0; i-- {
		t := &p.tasks[i]
		t.next = next
		if _, ok := t.Task.(reader); ok {
			next = i
		}
	}
	first := 0 // of those that run together
	for i := 1; i < len(p.tasks); i++ {
		t := &p.tasks[i-1]
		t.open = p.alone(first, i) || p.apart(first, i)
		if !t.open {
			first = i
		}
	}
}

// alone reports whether worker 0 alone runs the tasks from first to i, so that it need not wait for itself.
func (p *plan) alone(first, i int) bool {
	for _, t := range p.tasks[first : i+1] {
		d, ok := t.Task.(divided)
		if !ok {
			return false
		}
		if n, grain := d.extent(); n > grain {
			return false
		}
	}
	return true
}

// apart reports whether task i need wait for none of those from first on.
func (p *plan) apart(first, i int) bool {
	t := &p.tasks[i]
	if _, ok := t.Task.(loose); !ok {
		return false
	}
	for j := first; j < i; j++ {
		before := &p.tasks[j]
		if _, ok := before.Task.(loose); !ok {
			return false
		}
		a, b := &before.step.call, &t.step.call
		if overlap(a.Out, b.In) || overlap(a.Out, b.Out) || overlap(a.In, b.Out) {
			return false
		}
	}
	return true
}

// overlap reports whether a value of xs has memory in common with one of ys.
func overlap(xs, ys []opsref.View[float32]) bool {
	for i := range xs {
		for j := range ys {
			if cast.Overlap(xs[i].Raw, ys[j].Raw) {
				return true
			}
		}
	}
	return false
}
