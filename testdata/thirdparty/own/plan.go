package own

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops/plan"
	"github.com/hipengine/hipengine/tensor"
)

// Plan is a lowered graph with a place for each value.
type Plan struct {
	dev    *Device
	nodes  []*ops.Node
	place  map[ops.Value]tensor.Tensor
	inputs map[string]tensor.Tensor
	outs   []tensor.Tensor
	arena  *buffer
}

// Compile lowers g, and places inputs and results in an arena.
func (d *Device) Compile(g *ops.Graph, outs ...ops.Value) (ops.Plan, error) {
	g, outs, err := ops.Lower(g, d, outs...)
	if err != nil {
		return nil, err
	}
	a := plan.Build(g, outs, func(v ops.Value) int64 {
		n, sizeErr := tensor.Bytes(v.DType(), v.Shape())
		if sizeErr != nil && err == nil {
			err = fmt.Errorf("own: %v: %w", v.Node(), sizeErr)
		}
		return n
	}, 4)
	if err != nil {
		return nil, err
	}
	p := &Plan{dev: d, nodes: g.Nodes, place: map[ops.Value]tensor.Tensor{}, inputs: map[string]tensor.Tensor{}}
	if p.arena, err = d.alloc(a.Bytes); err != nil {
		return nil, err
	}
	for _, n := range g.Nodes {
		for r, typ := range n.Out {
			t := tensor.Tensor{Name: n.Name, DType: typ.DType, Shape: typ.Shape, Buf: p.arena, Off: a.Offset[n.Result(r)]}
			switch {
			case n.Leaf == ops.Weight || n.Leaf == ops.State:
				t = n.Tensor
			case n.Leaf == ops.Input:
				p.inputs[n.Name] = t
			case n.Op.Storage(r) >= 0: // a view
				t.Buf, t.Off = p.place[n.In[n.Op.Storage(r)]].Buf, p.place[n.In[n.Op.Storage(r)]].Off
			}
			p.place[n.Result(r)] = t
		}
	}
	for _, o := range outs {
		p.outs = append(p.outs, p.place[o])
	}
	return p, nil
}

// Input returns the place of an input.
func (p *Plan) Input(name string) (tensor.Tensor, bool) {
	t, ok := p.inputs[name]
	return t, ok
}

// Output returns the place of output i.
func (p *Plan) Output(i int) tensor.Tensor { return p.outs[i] }

// Close frees the arena.
func (p *Plan) Close() error { return p.arena.Free() }

// run computes all nodes in order.
func (p *Plan) run() error {
	for _, n := range p.nodes {
		if n.Op == nil || n.Op.View {
			continue
		}
		var in [][]float32
		for _, v := range n.In {
			x, err := p.dev.floats(p.place[v])
			if err != nil {
				return fmt.Errorf("%w, for %v", err, n)
			}
			in = append(in, x)
		}
		out := p.place[n.Result(0)]
		y := make([]float32, out.Shape.Elems())
		kernels[n.Op](n, y, in)
		b, err := p.dev.bytes(out, 4*len(y))
		if err != nil {
			return fmt.Errorf("%w, for %v", err, n)
		}
		for i, v := range y {
			binary.LittleEndian.PutUint32(b[4*i:], math.Float32bits(v))
		}
	}
	return nil
}

// floats returns the elements of t, which is of a type that Supports accepted.
func (d *Device) floats(t tensor.Tensor) ([]float32, error) {
	size, err := tensor.Bytes(t.DType, t.Shape)
	if err != nil {
		return nil, fmt.Errorf("own: tensor %q: %w", t.Name, err)
	}
	b, err := d.bytes(t, int(size))
	if err != nil {
		return nil, err
	}
	f, _ := t.DType.Format()
	x := make([]float32, t.Shape.Elems())
	f.Dequant(x, b)
	return x, nil
}
