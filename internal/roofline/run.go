package roofline

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// run compiles the op on dev and runs it once. Data is zero but for indices: no kernel looks at it to decide what to
// execute.
func (p probe) run(ctx context.Context, dev ops.Device) (err error) {
	s, err := dev.Stream()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	g := &ops.Graph{}
	var vs []ops.Value
	for i, a := range p.Args {
		name := fmt.Sprint("in", i)
		if a.Leaf == ops.Input {
			vs = append(vs, g.Input(name, a.DType, a.Shape...))
			continue
		}
		t, allocErr := p.store(dev, name, a)
		if allocErr != nil {
			return allocErr
		}
		defer func() { err = errors.Join(err, t.Buf.Free()) }()
		if a.Leaf == ops.State {
			vs = append(vs, g.State(t))
		} else {
			vs = append(vs, g.Weight(t))
		}
	}
	out := g.Add(p.op, p.Attrs, vs...)
	if err := g.Err(); err != nil {
		return err
	}
	plan, err := dev.Compile(g, nil, out...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, plan.Close()) }()
	for i, a := range p.Args {
		if t, ok := plan.Input(fmt.Sprint("in", i)); ok && a.Leaf == ops.Input {
			if err := s.Upload(t, contents(a)); err != nil {
				return err
			}
		}
	}
	return errors.Join(s.Run(plan), s.Sync(ctx))
}

// store allocates a weight or a state.
func (p probe) store(dev ops.Device, name string, a ops.Arg) (tensor.Tensor, error) {
	t := tensor.Tensor{Name: name, DType: a.DType, Shape: a.Shape}
	kind := ops.MemState
	if a.Leaf == ops.Weight {
		kind = ops.MemWeights
		t.Layout = dev.Layout(ops.WeightUse{Name: name, DType: a.DType, Shape: a.Shape, Ops: []*ops.Def{p.op}})
	}
	size, err := ops.WeightBytes(t)
	if err != nil {
		return t, err
	}
	t.Buf, err = dev.Alloc(size, kind)
	return t, err
}

// contents returns what an input holds: its integers, or zeros.
func contents(a ops.Arg) []byte {
	b := make([]byte, 0, 4*a.Shape.Elems())
	for _, x := range a.Ints {
		b = binary.LittleEndian.AppendUint32(b, uint32(x))
	}
	return b[:cap(b)]
}
