package mutant

import (
	"context"
	"errors"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// rewriter is a device that compiles something else than it was given.
type rewriter struct {
	ops.Device
	defect
}

// Compile rewrites g and hands it to the device.
func (d *rewriter) Compile(g *ops.Graph, a *ops.Arena, outs ...ops.Value) (ops.Plan, error) {
	if err := g.Err(); err != nil {
		return nil, err
	}
	p := &plan{}
	out := &ops.Graph{Invariant: g.Invariant}
	m := map[ops.Value]ops.Value{}
	for _, n := range g.Nodes {
		c := *n
		c.In = make([]ops.Value, len(n.In))
		for i, v := range n.In {
			c.In[i] = m[v]
		}
		if n.Leaf == ops.State {
			p.states = append(p.states, n.Tensor)
		}
		if n.Leaf == ops.Weight && d.weight != nil {
			if err := d.edit(&c.Tensor, p); err != nil {
				return nil, errors.Join(err, p.free())
			}
		}
		var instead ops.Value
		if d.node != nil {
			instead = d.node(&c)
		}
		for r := range n.Out {
			m[n.Result(r)] = c.Result(r)
			if instead.Valid() {
				m[n.Result(r)] = instead
			}
		}
		if !instead.Valid() {
			out.Nodes = append(out.Nodes, &c)
		}
	}
	if d.order != nil {
		out.Nodes = d.order(out.Nodes)
	}
	for i, n := range out.Nodes {
		n.ID = i
	}
	mapped := make([]ops.Value, len(outs))
	for i, o := range outs {
		mapped[i] = m[o]
	}
	p.after = func(s ops.Stream) error {
		if d.after == nil {
			return nil
		}
		return d.after(s, p.states)
	}
	var err error
	if p.Plan, err = d.Device.Compile(out, a, mapped...); err != nil {
		return nil, errors.Join(err, p.free())
	}
	return p, nil
}

// edit replaces t by an edited copy, which belongs to p.
func (d *rewriter) edit(t *tensor.Tensor, p *plan) error {
	f, ok := t.DType.Format()
	size, err := tensor.Bytes(t.DType, t.Shape)
	if !ok || err != nil {
		return err
	}
	s, err := d.Stream()
	if err != nil {
		return err
	}
	defer s.Close()
	b := make([]byte, size)
	if err := errors.Join(s.Download(b, *t), s.Sync(context.Background())); err != nil {
		return err
	}
	d.weight(f, b)
	buf, err := d.Alloc(size, ops.MemWeights)
	if err != nil {
		return err
	}
	p.bufs = append(p.bufs, buf)
	t.Buf, t.Off = buf, 0
	return errors.Join(s.Upload(*t, b), s.Sync(context.Background()))
}

// Stream returns a stream that runs the plans of this device.
func (d *rewriter) Stream() (ops.Stream, error) {
	s, err := d.Device.Stream()
	return &stream{Stream: s, dev: d}, err
}

type stream struct {
	ops.Stream
	dev  *rewriter
	late []func() error // downloads that wait for Sync
}

func (s *stream) Download(dst []byte, src tensor.Tensor) error {
	if !s.dev.late {
		return s.Stream.Download(dst, src)
	}
	s.late = append(s.late, func() error { return s.Stream.Download(dst, src) })
	return nil
}

func (s *stream) Sync(ctx context.Context) error {
	var errs []error
	for _, f := range s.late {
		errs = append(errs, f())
	}
	s.late = nil
	return errors.Join(append(errs, s.Stream.Sync(ctx))...)
}

func (s *stream) Copy(dst, src tensor.Tensor) error {
	if f := s.dev.copied; f != nil && dst.DType == tensor.I8 && dst.Shape.Equal(src.Shape) {
		n := tensor.Shape{f(dst.Shape.Elems())}
		if dst.Shape, src.Shape = n, n; n[0] == 0 {
			return nil
		}
	}
	return s.Stream.Copy(dst, src)
}

func (s *stream) Zero(dst tensor.Tensor) error {
	if f := s.dev.cleared; f != nil && dst.DType == tensor.I8 {
		if dst.Shape = (tensor.Shape{f(dst.Shape.Elems())}); dst.Shape[0] == 0 {
			return nil
		}
	}
	return s.Stream.Zero(dst)
}

func (s *stream) Run(p ops.Plan) error {
	r := p.(*plan)
	if err := s.Stream.Run(r.Plan); err != nil {
		return err
	}
	return r.after(s.Stream)
}

// plan owns the edited weights of a rewritten graph.
type plan struct {
	ops.Plan
	bufs   []tensor.Buffer
	states []tensor.Tensor
	after  func(ops.Stream) error
}

func (p *plan) Close() error { return errors.Join(p.Plan.Close(), p.free()) }

func (p *plan) free() error {
	var errs []error
	for _, b := range p.bufs {
		errs = append(errs, b.Free())
	}
	return errors.Join(errs...)
}
