package opsref

import (
	"errors"
	"fmt"
	"slices"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops/plan"
	"github.com/hipengine/hipengine/ops_ref/internal/pages"
	"github.com/hipengine/hipengine/tensor"
)

// step is one node with its operands bound.
type step[T Float] struct {
	node *ops.Node
	k    Kernel[T]
	call Call[T]
}

// compiled is a Plan: nodes in order, values at fixed places in one arena.
type compiled[T Float] struct {
	arena  *buffer
	held   []*pages.Memory // of the arena, and of weights and states, so that freeing those does not pull it from under a run
	closed bool
	inputs map[string]tensor.Tensor
	outs   []tensor.Tensor
	steps  []step[T]
}

func compile[T Float](d *Device, g *ops.Graph, outs []ops.Value, pick func(kernel, *ops.Def) Kernel[T]) (_ *compiled[T], err error) {
	wide := dtypeOf[T]() == tensor.F64
	g, outs, a, err := layOut(d, g, outs, wide)
	if err != nil {
		return nil, err
	}
	m, err := pages.New(a.Bytes)
	if err != nil {
		return nil, fmt.Errorf("opsref: %w", err)
	}
	p := &compiled[T]{arena: &buffer{b: m.Bytes(), wide: wide}, held: []*pages.Memory{m}, inputs: map[string]tensor.Tensor{}}
	defer func() {
		if err != nil {
			p.Close()
		}
	}()
	storage := map[ops.Value]tensor.Tensor{}
	views := map[ops.Value]View[T]{}
	for _, n := range g.Nodes {
		for r, typ := range n.Out {
			v := n.Result(r)
			t := tensor.Tensor{Name: n.Name, DType: typ.DType, Shape: typ.Shape, Buf: p.arena, Off: a.Offset[v]}
			if n.Leaf == ops.Weight || n.Leaf == ops.State {
				t = n.Tensor
			} else if n.Op != nil && n.Op.Storage(r) >= 0 { // a view has a shape of its own
				t = storage[n.In[n.Op.Storage(r)]]
				t.Shape = typ.Shape
			}
			size, err := tensor.Bytes(t.DType, t.Shape)
			if err != nil {
				return nil, fmt.Errorf("opsref: %v: %w", n, err)
			}
			m, isWide, err := memory(t, int(size))
			if err != nil {
				return nil, fmt.Errorf("opsref: %v: %w", n, err)
			}
			p.hold(t.Buf.(*buffer).mem)
			storage[v] = t
			view, err := newView[T](t.DType, t.Shape, m, isWide)
			if err != nil {
				return nil, err
			}
			if n.Leaf == ops.Weight {
				_, view.interleaved = interleavedFormat(t)
			}
			views[v] = view
		}
		switch {
		case n.Leaf == ops.Input:
			p.inputs[n.Name] = storage[n.Result(0)]
		case n.Op != nil && !n.Op.View:
			s := step[T]{node: n, k: pick(kernels[n.Op], n.Op), call: Call[T]{Attrs: n.Attrs, Pool: d.pool}}
			for _, v := range n.In {
				s.call.In = append(s.call.In, views[v])
			}
			for r := range n.Out {
				s.call.Out = append(s.call.Out, views[n.Result(r)])
			}
			p.steps = append(p.steps, s)
		}
	}
	for _, o := range outs {
		p.outs = append(p.outs, storage[o])
	}
	return p, nil
}

// layOut lowers g and plans the arena of its values, in which F32 takes eight bytes if wide.
func layOut(d *Device, g *ops.Graph, outs []ops.Value, wide bool) (*ops.Graph, []ops.Value, plan.Arena, error) {
	g, outs, err := ops.Lower(g, d, outs...)
	if err != nil {
		return nil, nil, plan.Arena{}, err
	}
	var badSize error
	a := plan.Build(g, outs, func(v ops.Value) int64 {
		n, err := tensor.Bytes(v.DType(), v.Shape())
		if err != nil && badSize == nil {
			badSize = fmt.Errorf("opsref: %v: %w", v.Node(), err)
		}
		if wide && v.DType() == tensor.F32 {
			n *= 2
		}
		return n
	}, 64)
	return g, outs, a, badSize
}

// hold keeps m until the plan is closed.
func (p *compiled[T]) hold(m *pages.Memory) {
	if m != nil && !slices.Contains(p.held, m) {
		m.Hold()
		p.held = append(p.held, m)
	}
}

// errClosed reports a run of a plan after its Close.
var errClosed = errors.New("opsref: the plan is closed")

func (p *compiled[T]) run() error {
	if p.closed {
		return errClosed
	}
	for i := range p.steps {
		s := &p.steps[i]
		if err := s.k(&s.call); err != nil {
			return fmt.Errorf("opsref: %s: %v: %w", s.node.Pos, s.node, err)
		}
	}
	return nil
}

func (p *compiled[T]) Input(name string) (tensor.Tensor, bool) {
	t, ok := p.inputs[name]
	return t, ok
}

func (p *compiled[T]) Output(i int) tensor.Tensor { return p.outs[i] }

func (p *compiled[T]) Close() error {
	p.closed = true
	p.arena.b = nil
	for _, m := range p.held {
		m.Release()
	}
	p.held = nil
	return nil
}

// Kernels lists the nodes in the order of execution; all run as kernels of this package.
func (p *compiled[T]) Kernels() []string {
	names := make([]string, len(p.steps))
	for i, s := range p.steps {
		names[i] = fmt.Sprintf("%v -> %s", s.node, s.node.Op.Name)
	}
	return names
}
