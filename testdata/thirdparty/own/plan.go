package own

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops/plan"
	"github.com/hipengine/hipengine/tensor"
)

// Plan is a lowered graph whose inputs and results have places in an arena.
type Plan struct {
	dev     *Device
	graph   *ops.Graph
	outs    []ops.Value
	offsets map[ops.Value]int64
	arena   *ops.Arena
	own     bool // the arena
}

// Compile lowers g and plans its memory.
func (d *Device) Compile(g *ops.Graph, a *ops.Arena, outs ...ops.Value) (ops.Plan, error) {
	g, outs, err := ops.Lower(g, d, outs...)
	if err != nil {
		return nil, err
	}
	layout := plan.Build(g, outs, func(v ops.Value) int64 {
		n, sizeErr := tensor.Bytes(v.DType(), v.Shape())
		if sizeErr != nil {
			err = errors.Join(err, fmt.Errorf("own: %v: %w", v.Node(), sizeErr))
		}
		return n
	}, 4)
	if err != nil {
		return nil, err
	}
	p := &Plan{dev: d, graph: g, outs: outs, offsets: layout.Offset, arena: a, own: a == nil}
	if p.own {
		p.arena = &ops.Arena{}
	}
	if err := p.arena.Grow(d, layout.Bytes); err != nil {
		return nil, err
	}
	return p, nil
}

// place returns where a value is now: the arena moves when it grows.
func (p *Plan) place(v ops.Value) tensor.Tensor {
	n := v.Node()
	if n.Leaf == ops.Weight || n.Leaf == ops.State {
		return n.Tensor
	}
	if n.Op != nil && n.Op.Storage(v.Index()) >= 0 { // a view has a shape of its own
		t := p.place(n.In[n.Op.Storage(v.Index())])
		t.DType, t.Shape = v.DType(), v.Shape()
		return t
	}
	buf, _ := p.arena.Buffer()
	return tensor.Tensor{Name: n.Name, DType: v.DType(), Shape: v.Shape(), Buf: buf, Off: p.offsets[v]}
}

// Input returns the place of an input.
func (p *Plan) Input(name string) (tensor.Tensor, bool) {
	for _, n := range p.graph.Nodes {
		if n.Leaf == ops.Input && n.Name == name {
			return p.place(n.Result(0)), true
		}
	}
	return tensor.Tensor{}, false
}

// Output returns the place of output i.
func (p *Plan) Output(i int) tensor.Tensor { return p.place(p.outs[i]) }

// Close frees the arena if it is the plan's own.
func (p *Plan) Close() error {
	if p.own {
		return p.arena.Free()
	}
	return nil
}

// run computes all nodes in order.
func (p *Plan) run() error {
	for _, n := range p.graph.Nodes {
		if n.Op == nil || n.Op.View {
			continue
		}
		var in [][]float32
		for _, v := range n.In {
			x, err := p.dev.floats(p.place(v))
			if err != nil {
				return fmt.Errorf("%w, for %v", err, n)
			}
			in = append(in, x)
		}
		out := p.place(n.Result(0))
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
	b, err := d.all(t)
	if err != nil {
		return nil, err
	}
	f, _ := t.DType.Format()
	x := make([]float32, t.Shape.Elems())
	f.Dequant(x, b)
	return x, nil
}
