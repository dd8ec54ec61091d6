package cpu

import (
	"fmt"

	"github.com/hipengine/hipengine/ops"
	opsref "github.com/hipengine/hipengine/ops_ref"
	"github.com/hipengine/hipengine/ops_ref/internal/host"
	"github.com/hipengine/hipengine/ops_ref/internal/par"
	"github.com/hipengine/hipengine/ops_ref/internal/simd"
)

// plan runs a compiled graph as one run of all workers: they execute the same list of tasks, with a barrier after
// each.
type plan struct {
	*host.Plan
	dev   *Device
	pool  *par.Pool
	work  *workspace // of the device
	tasks []task
	body  func(*par.Worker)
	ahead []ahead // of each worker

	// held says which value the buffer of quantized activations of each layout holds while tasks are bound.
	held map[actLayout]ops.Value

	once map[any]any // see Binding.Once

	ready  bool // all tasks are ready for the next run
	failed int  // task, of err
	err    error
}

// step is one node with its operands bound.
type step struct {
	node *ops.Node
	k    opsref.Kernel[float32] // of the reference, if there is no task
	call opsref.Call[float32]
}

// task is a part of a node; nodes without one have the reference kernel.
type task struct {
	Task
	step *step
	next int  // task whose weights come next; 0: none
	open bool // the next task does not wait for this one
}

// actLayout tells the layouts of activations apart.
type actLayout struct {
	block  int            // elements that share a scale; 0 for floats
	floats simd.FloatType // of the weights that floats are for
	panels bool
	plain  bool // as they are
}

// activations is a buffer of activations in a layout.
type activations struct {
	size int // that plans want
	region
}

// Compile implements ops.Device.
func (d *Device) Compile(g *ops.Graph, a *ops.Arena, outs ...ops.Value) (ops.Plan, error) {
	h, err := host.NewPlan(d, g, a, outs, d.config)
	if err != nil {
		return nil, fmt.Errorf("cpu: %w", err)
	}
	p := &plan{Plan: h, dev: d, pool: d.pool, work: &d.work}
	if err := p.bind(); err != nil {
		p.Close()
		return nil, fmt.Errorf("cpu: %w", err)
	}
	p.body, p.ahead = p.execute, make([]ahead, p.pool.Threads())
	for i := range p.ahead {
		p.ahead[i].step = p.ahead[i].fetch
	}
	return p, nil
}

// bind makes the tasks of a plan whose values have their places. Plans of other goroutines wait: they use the memory
// that may grow.
func (p *plan) bind() (err error) {
	views, err := host.Bind(p.Plan, newView)
	if err != nil {
		return err
	}
	p.pool.Alone(func() {
		p.ready = false
		p.tasks, p.held, p.once = p.tasks[:0], map[actLayout]ops.Value{}, map[any]any{}
		for _, n := range p.Nodes {
			s := &step{node: n, k: opsref.KernelOf(n.Op),
				call: opsref.Call[float32]{Attrs: n.Attrs, Pool: p.pool.Inner(), Invariant: p.Invariant()}}
			s.call.In, s.call.Out = views.Operands(n)
			t := task{step: s}
			if k := p.dev.override[n.Op]; k != nil {
				s.k = k
			} else if bind := kernels[n.Op]; bind != nil {
				t.Task = bind(&Binding{Node: n, Call: &s.call, plan: p, step: s})
			}
			if t.Task == nil && s.k == nil {
				err = fmt.Errorf("%s: no kernel computes %v here", n.Pos, n)
				return
			}
			p.tasks = append(p.tasks, t)
		}
		p.order()
		err = p.work.grow(p.pool.Threads())
	})
	return err
}

// quantized returns the activations of s in the layout that weights of type f want, and adds a task that writes them
// unless the layout's buffer holds them already.
func (p *plan) quantized(s *step, f simd.Format, panels bool) *activations {
	x := s.call.In[0]
	a, held := p.buffer(s, actLayout{block: f.Block(), panels: panels})
	if held {
		return a
	}
	rows, k := x.Shape.Rows(), x.Shape.Last()
	if !panels {
		a.size = max(a.size, rows*f.ActBytes(k))
		p.tasks = append(p.tasks, task{Task: &quantizeTask{x: x, format: f, to: a}, step: s})
		return a
	}
	a.size = max(a.size, f.ColumnsBytes(rows, k))
	from, held := p.buffer(s, actLayout{block: f.Block()})
	from.size = max(from.size, rows*f.ActBytes(k))
	p.tasks = append(p.tasks, task{Task: &packTask{x: x, format: f, quantize: !held, from: from, to: a}, step: s})
	return a
}

// floatColumns is quantized for weights of type t.
func (p *plan) floatColumns(s *step, t simd.FloatType) *activations {
	x := s.call.In[0]
	a, held := p.buffer(s, actLayout{floats: t, panels: true})
	if !held {
		p.tasks = append(p.tasks, task{Task: &packFloatsTask{x: x, weights: t, to: a}, step: s})
		a.size = max(a.size, t.ColumnsBytes(x.Shape.Rows(), x.Shape.Last()))
	}
	return a
}

// plainColumns is quantized for weights as float32, without tiles.
func (p *plan) plainColumns(s *step) *activations {
	x := s.call.In[0]
	a, held := p.buffer(s, actLayout{plain: true, panels: true})
	if !held {
		p.tasks = append(p.tasks, task{Task: &packPlainTask{x: x, to: a}, step: s})
		a.size = max(a.size, 4*simd.FloatColumnsLen(x.Shape.Rows(), x.Shape.Last()))
	}
	return a
}

// buffer returns the buffer of a layout, and whether it holds input 0 of s. From now on it does.
func (p *plan) buffer(s *step, l actLayout) (a *activations, held bool) {
	if a = p.work.acts[l]; a == nil {
		a = &activations{}
		p.work.acts[l] = a
	}
	v := s.node.In[0]
	held = p.held[l] == v
	p.held[l] = v
	return a, held
}

func (p *plan) run() error {
	moved, err := p.Moved()
	if err == nil && moved {
		err = p.bind()
	}
	if err != nil {
		return fmt.Errorf("cpu: %w", err)
	}
	p.err = nil
	if !p.ready {
		p.reset(0, len(p.tasks))
	}
	p.ready = false
	if err := p.pool.Run(p.body); err != nil {
		return fmt.Errorf("cpu: %w", err)
	}
	if p.err != nil {
		s := p.tasks[p.failed].step
		return fmt.Errorf("cpu: %s: %v: %w", s.node.Pos, s.node, p.err)
	}
	p.ready = true
	return nil
}

// reset makes tasks lo to hi-1 ready for the next run.
func (p *plan) reset(lo, hi int) {
	for i := lo; i < hi; i++ {
		if t := p.tasks[i].Task; t != nil {
			t.Reset()
		}
	}
}

// execute is what each worker does in a run.
func (p *plan) execute(w *par.Worker) {
	a := &p.ahead[w.ID]
	a.task, a.rest = 0, nil
	w.Idle(a.step)
	first := 0 // of the tasks since the last barrier
	for i := range p.tasks {
		t := &p.tasks[i]
		if t.next != a.task {
			a.start(w, p.tasks, t.next)
		}
		var err error
		switch {
		case t.Task != nil:
			err = t.Run(w)
		case w.ID == 0:
			err = t.step.k(&t.step.call)
			w.Assist()
		default:
			w.Assist()
		}
		if err != nil && w.ID == 0 {
			p.failed, p.err = i, err
		}
		if t.open {
			continue
		}
		w.Barrier()
		if p.err != nil {
			return
		}
		if w.ID == 0 { // now, since it is in the caches
			p.reset(first, i+1)
		}
		first = i + 1
	}
}
