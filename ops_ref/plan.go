package opsref

import (
	"fmt"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_ref/internal/host"
	"github.com/hipengine/hipengine/ops_ref/internal/par"
)

// interpreter is a Plan that calls the kernels of its nodes in order.
type interpreter[T Float] struct {
	*host.Plan
	pool  *par.Pool
	pick  func(*ops.Def) Kernel[T]
	steps []step[T]
}

// step is one node with its operands bound.
type step[T Float] struct {
	node *ops.Node
	k    Kernel[T]
	call Call[T]
}

func interpret[T Float](p *host.Plan, pool *par.Pool, pick func(*ops.Def) Kernel[T]) (ops.Plan, error) {
	i := &interpreter[T]{Plan: p, pool: pool, pick: pick}
	if err := i.bind(); err != nil {
		p.Close()
		return nil, fmt.Errorf("opsref: %w", err)
	}
	return i, nil
}

// bind makes the steps of a plan whose values have their places.
func (p *interpreter[T]) bind() error {
	views, err := host.Bind(p.Plan, NewView[T])
	if err != nil {
		return err
	}
	p.steps = p.steps[:0]
	for _, n := range p.Nodes {
		s := step[T]{node: n, k: p.pick(n.Op), call: Call[T]{Attrs: n.Attrs, Pool: p.pool, Invariant: p.Invariant()}}
		s.call.In, s.call.Out = views.Operands(n)
		p.steps = append(p.steps, s)
	}
	return nil
}

func (p *interpreter[T]) run() error {
	moved, err := p.Moved()
	if err == nil && moved {
		err = p.bind()
	}
	if err != nil {
		return fmt.Errorf("opsref: %w", err)
	}
	for i := range p.steps {
		s := &p.steps[i]
		if err := s.k(&s.call); err != nil {
			return fmt.Errorf("opsref: %s: %v: %w", s.node.Pos, s.node, err)
		}
	}
	return nil
}

func (p *interpreter[T]) nodes() []*ops.Node { return p.Nodes }
