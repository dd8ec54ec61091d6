package opsref

import (
	"fmt"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_ref/internal/par"
	"github.com/hipengine/hipengine/ops_ref/internal/simd"
)

// fastPlan runs a compiled graph as one run of all workers: they execute the same list of tasks, with a barrier after
// each.
type fastPlan struct {
	*compiled[float32]
	pool  *par.Pool
	tasks []fastTask
	work  *workspace // of the device
	body  func(*par.Worker)

	// held says which value the buffer of quantized activations of each layout holds while tasks are bound.
	held map[actLayout]ops.Value

	once map[any]any // see Binding.Once

	failed int // task, of err
	err    error
}

// fastTask is a node's task; nodes without one have the reference kernel.
type fastTask struct {
	Task
	step *step[float32]
}

// actLayout tells the layouts of activations apart.
type actLayout struct {
	block  int            // elements that share a scale; 0 for floats
	floats simd.FloatType // of the weights that floats are for
	panels bool
}

// activations is a buffer of activations in a layout.
type activations struct {
	size int // that plans want
	region
}

func compileFast(d *Device, g *ops.Graph, outs []ops.Value) (ops.Plan, error) {
	c, err := compile(d, g, outs, d.pickFloat32)
	if err != nil {
		return nil, err
	}
	p := &fastPlan{compiled: c, pool: d.pool, work: &d.work, held: map[actLayout]ops.Value{}, once: map[any]any{}}
	d.pool.Alone(func() { err = p.bind(d) })
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("opsref: %w", err)
	}
	p.body = p.execute
	return p, nil
}

// bind makes the tasks. Plans of other goroutines wait: they use the memory that may grow.
func (p *fastPlan) bind(d *Device) error {
	for i := range p.steps {
		s := &p.steps[i]
		s.call.Pool = d.pool.Inner()
		t := fastTask{step: s}
		if bind := fastKernels[s.node.Op]; bind != nil && d.opt.Override[s.node.Op] == nil {
			t.Task = bind(&Binding{Node: s.node, Call: &s.call, plan: p, step: s})
		}
		p.tasks = append(p.tasks, t)
	}
	return p.work.grow(d.pool.Threads())
}

// quantized returns the activations of s in the layout that weights of type f want, and adds a task that writes them
// unless the layout's buffer holds them already.
func (p *fastPlan) quantized(s *step[float32], f simd.Format, panels bool) *activations {
	x := s.call.In[0]
	a, held := p.buffer(s, actLayout{block: f.Block(), panels: panels})
	if held {
		return a
	}
	rows, k := x.Shape.Rows(), x.Shape.Last()
	var t Task
	if panels {
		t = &packTask{format: f, rows: rows, k: k, from: p.quantized(s, f, false), to: a}
		a.size = max(a.size, f.ColumnsBytes(rows, k))
	} else {
		t = &quantizeTask{x: x, format: f, to: a}
		a.size = max(a.size, rows*f.ActBytes(k))
	}
	p.tasks = append(p.tasks, fastTask{t, s})
	return a
}

// floatColumns is quantized for weights of type t.
func (p *fastPlan) floatColumns(s *step[float32], t simd.FloatType) *activations {
	x := s.call.In[0]
	a, held := p.buffer(s, actLayout{floats: t, panels: true})
	if !held {
		p.tasks = append(p.tasks, fastTask{&packFloatsTask{x: x, weights: t, to: a}, s})
		a.size = max(a.size, t.ColumnsBytes(x.Shape.Rows(), x.Shape.Last()))
	}
	return a
}

// buffer returns the buffer of a layout, and whether it holds input 0 of s. From now on it does.
func (p *fastPlan) buffer(s *step[float32], l actLayout) (a *activations, held bool) {
	if a = p.work.acts[l]; a == nil {
		a = &activations{}
		p.work.acts[l] = a
	}
	v := s.node.In[0]
	held = p.held[l] == v
	p.held[l] = v
	return a, held
}

func (p *fastPlan) run() error {
	if p.closed {
		return errClosed
	}
	p.err = nil
	for i := range p.tasks {
		if t := p.tasks[i].Task; t != nil {
			t.Reset()
		}
	}
	if err := p.pool.Run(p.body); err != nil {
		return fmt.Errorf("opsref: %w", err)
	}
	if p.err != nil {
		s := p.tasks[p.failed].step
		return fmt.Errorf("opsref: %s: %v: %w", s.node.Pos, s.node, p.err)
	}
	return nil
}

// execute is what each worker does in a run.
func (p *fastPlan) execute(w *par.Worker) {
	for i := range p.tasks {
		t := &p.tasks[i]
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
		w.Barrier()
		if p.err != nil {
			return
		}
	}
}
