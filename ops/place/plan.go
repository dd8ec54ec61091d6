package place

import (
	"errors"
	"fmt"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// plan is a compiled graph: plans of the parts, and what is copied between them.
type plan struct {
	dev      *Device
	segments []*segment
	programs [][]*segment // of each part, in order
	arenas   *arenas
	own      *ops.Arena // nil if the arenas are the caller's
	regions  []*region  // of each part; nil: it needs none
	inputs   map[string]tensor.Tensor
	outs     []output
}

// output is where an output of the whole is.
type output struct {
	t    tensor.Tensor // if it has a place of its own
	from *segment      // or else an output of its plan
	at   int
	part int
	typ  ops.Type
}

// Compile makes plans of the parts. The errors are theirs, and those of graphs whose states are apart.
func (d *Device) Compile(g *ops.Graph, a *ops.Arena, outs ...ops.Value) (_ ops.Plan, err error) {
	p := &plan{dev: d, programs: make([][]*segment, len(d.parts)), regions: make([]*region, len(d.parts)),
		inputs: map[string]tensor.Tensor{}}
	if a == nil {
		a = &ops.Arena{}
		p.own = a
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
		}
	}()
	if b, _ := a.Buffer(); b == nil {
		if err := a.Grow(d, 1); err != nil {
			return nil, err
		}
	}
	b, _ := a.Buffer()
	arenas, ok := b.(*arenas)
	if !ok || len(arenas.parts) != len(d.parts) {
		return nil, fmt.Errorf("place: the arena is of another device than %s (buffer %T)", d.name, b)
	}
	c, err := d.cut(g, outs, arenas.meeting)
	if err != nil {
		return nil, err
	}
	p.segments = c.segments
	p.arenas = arenas
	for i, n := range c.bytes {
		if n == 0 {
			continue
		}
		if p.regions[i], err = arenas.take(d.parts[i], n, c.stage[i]); err != nil {
			return nil, err
		}
	}
	p.bind(c)
	for _, s := range p.segments {
		p.programs[s.part] = append(p.programs[s.part], s)
		if s.g == nil {
			continue
		}
		if s.plan, err = d.parts[s.part].Device.Compile(s.g, arenas.parts[s.part], s.outs...); err != nil {
			return nil, err
		}
	}
	return p, p.locateOutputs(c)
}

// bind gives the leaves that stand for inputs and for values of other segments their memory.
func (p *plan) bind(c *cut) {
	for n, leaves := range c.inLeafs {
		in := &inputs{}
		for _, l := range leaves {
			t := tensor.Tensor{Name: n.Name, DType: n.Out[0].DType, Shape: n.Out[0].Shape, Buf: p.regions[l.part].buf,
				Off: c.inOff[l.part][n]}
			if l.leaf != nil {
				l.leaf.Tensor = t
			}
			in.add(located{l.part, t})
		}
		in.size, _ = tensor.Bytes(n.Out[0].DType, n.Out[0].Shape) // layOut checked it
		p.inputs[n.Name] = tensor.Tensor{Name: n.Name, DType: n.Out[0].DType, Shape: n.Out[0].Shape, Buf: in}
	}
	for _, t := range c.order {
		for _, leaf := range t.leaf {
			leaf.Tensor = p.slot(t)
			leaf.Tensor.Name = leaf.Name
		}
	}
}

// add notes a place, once for each part.
func (b *inputs) add(l located) {
	for _, x := range b.at {
		if x.part == l.part {
			return
		}
	}
	b.at = append(b.at, l)
}

// slot returns the place of a copy.
func (p *plan) slot(t *transfer) tensor.Tensor {
	return tensor.Tensor{Name: "crossing", DType: t.v.DType(), Shape: t.v.Shape(), Buf: p.regions[t.to].buf, Off: t.off}
}

// locateOutputs finds where the outputs are.
func (p *plan) locateOutputs(c *cut) error {
	for _, o := range c.outs {
		typ, b := o.Type(), c.base(o)
		n := b.Node()
		out := output{typ: typ}
		owner := ops.Owner(b).Node()
		switch {
		case owner.Leaf == ops.Input:
			out.t = p.inputs[owner.Name]
		case owner.Leaf == ops.Weight, owner.Leaf == ops.State:
			out.t = owner.Tensor
		default:
			s := c.of[n]
			if t := c.transfers[valueOn{b, s.part}]; t != nil && t.kept {
				out.t, out.part = p.slot(t), s.part
				out.t.Buf = &buffer{whole: p.dev, part: s.part, in: []tensor.Buffer{out.t.Buf}, size: out.t.Buf.Size()}
				break
			}
			at, ok := s.at[b]
			if !ok {
				return fmt.Errorf("place: %v: an output that no segment returns", n)
			}
			out.from, out.at, out.part = s, at, s.part
		}
		out.t.DType, out.t.Shape = typ.DType, typ.Shape
		p.outs = append(p.outs, out)
	}
	return nil
}

// Input returns the place of an input, on all parts that read it.
func (p *plan) Input(name string) (tensor.Tensor, bool) {
	t, ok := p.inputs[name]
	return t, ok
}

// Output returns the place of output i.
func (p *plan) Output(i int) tensor.Tensor {
	o := p.outs[i]
	if o.from == nil {
		return o.t
	}
	t := o.from.plan.Output(o.at)
	t.Buf = &buffer{whole: p.dev, part: o.part, in: []tensor.Buffer{t.Buf}, size: t.Buf.Size()}
	t.DType, t.Shape = o.typ.DType, o.typ.Shape
	return t
}

// Close closes the plans of the parts.
func (p *plan) Close() error {
	var errs []error
	for _, s := range p.segments {
		if s.plan != nil {
			errs = append(errs, s.plan.Close())
			s.plan = nil
		}
	}
	for i, r := range p.regions {
		if r != nil {
			errs = append(errs, p.arenas.put(r))
			p.regions[i] = nil
		}
	}
	if p.own != nil {
		errs = append(errs, p.own.Free())
		p.own = nil
	}
	return errors.Join(errs...)
}

// planned returns what plans would meet in, for those that are not compiled.
func (d *Device) planned() ops.Ranks { return d.meetings.planned(d) }

// partBytes is PartBytes of the device's ops.Caps.
func (d *Device) partBytes(g *ops.Graph, outs ...ops.Value) ([]int64, error) {
	c, err := d.cut(g, outs, d.planned)
	if err != nil {
		return nil, err
	}
	arena := make([]int64, len(d.parts))
	for _, s := range c.segments {
		if s.g == nil {
			continue
		}
		n, err := d.parts[s.part].Device.Caps().PlanBytes(s.g, s.outs...)
		if err != nil {
			return nil, err
		}
		arena[s.part] = max(arena[s.part], n)
	}
	for i := range arena {
		arena[i] += c.bytes[i]
	}
	return arena, nil
}

// planBytes is PlanBytes of the device's ops.Caps.
func (d *Device) planBytes(g *ops.Graph, outs ...ops.Value) (total int64, err error) {
	parts, err := d.partBytes(g, outs...)
	for _, n := range parts {
		total += n
	}
	return total, err
}

// launches is Launches of the device's ops.Caps: of one segment after another.
func (d *Device) launches(g *ops.Graph, outs ...ops.Value) (all []string, err error) {
	c, err := d.cut(g, outs, d.planned)
	if err != nil {
		return nil, err
	}
	for _, s := range c.segments {
		if s.g == nil {
			continue
		}
		names, err := d.parts[s.part].Device.Caps().Launches(s.g, s.outs...)
		if err != nil {
			return nil, err
		}
		all = append(all, names...)
	}
	return all, nil
}

// kernels is Kernels of the device's ops.Caps: of one segment after another, each with its part.
func (d *Device) kernels(p ops.Plan) (all []string) {
	mine, ok := p.(*plan)
	if !ok {
		return nil
	}
	for _, s := range mine.segments {
		list := d.parts[s.part].Device.Caps().Kernels
		if list == nil || s.plan == nil {
			continue
		}
		for _, k := range list(s.plan) {
			all = append(all, fmt.Sprintf("%d: %s", s.part, k))
		}
	}
	return all
}
