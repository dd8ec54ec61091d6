package place

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// Everywhere is the place of a tensor of which each part has a copy.
const Everywhere = -1

// Placement says on which part a weight or a state lies, by its number, or Everywhere, which only weights can. kind is
// MemWeights or MemState.
type Placement func(u ops.WeightUse, kind ops.MemKind) int

// Device is several devices as one. It is cheap: each model can have one of its own, with its own placement, over the
// same parts.
type Device struct {
	parts []*Part
	all   *Part // Alloc for Everywhere
	place Placement
	name  string

	meetings meetings
}

var _ ops.Device = (*Device)(nil)

// New returns a device of the given parts, which stay the caller's: Close leaves them open. A part may be there more than
// once, with arenas and streams of its own each time. Of what a nil placement is asked for, and of memory that Alloc is
// asked for without a name, all is on the first part.
func New(parts []ops.Device, place Placement) (*Device, error) {
	if len(parts) == 0 {
		return nil, errors.New("place: a device of no parts")
	}
	if place == nil {
		place = func(ops.WeightUse, ops.MemKind) int { return 0 }
	}
	d := &Device{place: place}
	var names []string
	for i, p := range parts {
		d.parts = append(d.parts, &Part{Device: p, whole: d, number: i})
		names = append(names, p.Info().Name)
	}
	d.all = &Part{Device: parts[0], whole: d, number: Everywhere}
	d.name = strings.Join(names, ",")
	return d, nil
}

// Parts returns the parts, as devices whose Alloc makes memory of the whole on that part.
func (d *Device) Parts() []*Part { return slices.Clone(d.parts) }

// Info describes the parts together: names and targets with commas between them, and all memory, that of a part which
// is there several times once.
func (d *Device) Info() ops.Info {
	i := ops.Info{Name: d.name, Wave: 1}
	var targets, models, drivers []string
	add := func(list *[]string, s string) {
		if s != "" && !slices.Contains(*list, s) {
			*list = append(*list, s)
		}
	}
	seen := map[string]bool{}
	for _, p := range d.parts {
		pi := p.Device.Info()
		add(&targets, pi.Target)
		add(&models, pi.Model)
		add(&drivers, pi.Driver)
		i.Wave = max(i.Wave, pi.Wave)
		i.Buckets = i.Buckets || pi.Buckets
		if !seen[pi.Name] {
			i.Memory += pi.Memory
		}
		seen[pi.Name] = true
	}
	i.Target, i.Model, i.Driver = strings.Join(targets, ","), strings.Join(models, ", "), strings.Join(drivers, ", ")
	return i
}

// Caps are what all parts can do. Graphs are fused by the parts.
func (d *Device) Caps() ops.Caps {
	c := ops.Caps{Invariant: true, Place: d.home, Parts: d.devices, PlanBytes: d.planBytes, PartBytes: d.partBytes,
		Launches: d.launches, Kernels: d.kernels, Rounds: d.rounds, Free: d.free, Map: d.mapped}
	for _, p := range d.parts {
		pc := p.Device.Caps()
		c.StepTokens = max(c.StepTokens, pc.StepTokens)
		c.Invariant = c.Invariant && pc.Invariant
		if pc.Free == nil {
			c.Free = nil
		}
		if pc.PlanBytes == nil {
			c.PlanBytes, c.PartBytes = nil, nil
		}
		if pc.Launches == nil {
			c.Launches = nil
		}
	}
	return c
}

// home is Place of the device's ops.Caps.
func (d *Device) home(u ops.WeightUse, kind ops.MemKind) (ops.Device, error) {
	i := d.place(u, kind)
	switch {
	case i == Everywhere && kind == ops.MemWeights:
		return d.all, nil
	case i < 0 || i >= len(d.parts):
		return nil, fmt.Errorf("place: %q is to lie on part %d of %d, %s", u.Name, i, len(d.parts), d.name)
	}
	return d.parts[i], nil
}

func (d *Device) devices() (list []ops.Device) {
	for _, p := range d.parts {
		list = append(list, p)
	}
	return list
}

// free adds up what is free, once for parts that are the same device.
func (d *Device) free() (total int64, err error) {
	seen := map[string]bool{}
	for _, p := range d.parts {
		name := p.Device.Info().Name
		if seen[name] {
			continue
		}
		seen[name] = true
		n, err := p.Device.Caps().Free()
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

// route returns how values get from a part to another.
func (d *Device) route(from, to int) route {
	a, b := d.parts[from].Device, d.parts[to].Device
	switch peer := a.Caps().Peer; {
	case from == to:
		return local
	case peer != nil && peer(b):
		return pushed
	case b.Caps().Map != nil:
		return written
	}
	return uploaded
}

// rounds is that of the part where the weights of n are, or else the roughest.
func (d *Device) rounds(n *ops.Node) (most int) {
	at := Everywhere
	for _, v := range n.In {
		if w := ops.Root(v); w.Leaf == ops.Weight {
			if b, ok := w.Tensor.Buf.(*buffer); ok {
				at = max(at, b.part)
			}
		}
	}
	for _, p := range d.parts {
		if r := p.Device.Caps().Rounds; r != nil && (at == Everywhere || at == p.number) {
			most = max(most, r(n))
		}
	}
	return most
}

// Layout is that of the first part, on which Alloc is.
func (d *Device) Layout(u ops.WeightUse) tensor.Layout { return d.parts[0].Layout(u) }

// Alloc returns memory on the first part. What has a name is allocated on the device that Caps().Place returns. Memory
// of kind MemPlans is that of the plans of an arena, on all parts, whatever its size.
func (d *Device) Alloc(bytes int64, kind ops.MemKind) (tensor.Buffer, error) {
	if kind == ops.MemPlans {
		return newArenas(d), nil
	}
	return d.parts[0].Alloc(bytes, kind)
}

// Supports reports whether all parts have a kernel for n. One that has none can still run what n stands for.
func (d *Device) Supports(n *ops.Node) bool {
	for _, p := range d.parts {
		if !p.Device.Supports(n) {
			return false
		}
	}
	return true
}

// Close leaves the parts open, but frees what the device made of theirs.
func (d *Device) Close() error { return d.meetings.close() }

// Part is a part of a [Device], for what is allocated and loaded: its memory can be used in graphs and streams of the
// whole. Plans are those of the whole.
type Part struct {
	ops.Device // the part's own
	whole      *Device
	number     int
}

// Number returns which part it is, from 0, or Everywhere.
func (p *Part) Number() int { return p.number }

// members are the parts that memory of p lies on.
func (p *Part) members() []*Part {
	if p.number == Everywhere {
		return p.whole.parts
	}
	return []*Part{p}
}

// Caps are those of the part, for memory of the whole.
func (p *Part) Caps() ops.Caps {
	c := p.Device.Caps()
	c.Map, c.Parts, c.Place = p.whole.mapped, nil, nil
	if adopt := c.Adopt; p.number == Everywhere {
		c.Adopt = nil
	} else if adopt != nil {
		c.Adopt = func(b []byte) tensor.Buffer {
			return &buffer{whole: p.whole, part: p.number, in: []tensor.Buffer{adopt(b)}, size: int64(len(b))}
		}
	}
	c.PlanBytes, c.Launches, c.Kernels = p.whole.planBytes, nil, p.whole.kernels
	return c
}

// Layout is that of the part; tensors that are everywhere lie as in files.
func (p *Part) Layout(u ops.WeightUse) tensor.Layout {
	if p.number == Everywhere && len(p.whole.parts) > 1 {
		return tensor.Layout{}
	}
	return p.Device.Layout(u)
}

// Alloc returns memory of the whole on the part. Nothing is taken for no bytes: such a buffer says where a tensor would
// lie, for graphs that are planned and not compiled.
func (p *Part) Alloc(bytes int64, kind ops.MemKind) (tensor.Buffer, error) {
	if kind == ops.MemPlans {
		return newArenas(p.whole), nil
	}
	b := &buffer{whole: p.whole, part: p.number, size: bytes}
	if bytes == 0 {
		return b, nil
	}
	for _, m := range p.members() {
		in, err := m.Device.Alloc(bytes, kind)
		if err != nil {
			return nil, errors.Join(err, b.Free())
		}
		b.in = append(b.in, in)
	}
	return b, nil
}

// Compile is that of the whole.
func (p *Part) Compile(g *ops.Graph, a *ops.Arena, outs ...ops.Value) (ops.Plan, error) {
	return p.whole.Compile(g, a, outs...)
}

// Stream is one of the whole.
func (p *Part) Stream() (ops.Stream, error) { return p.whole.Stream() }

// Close does nothing: the part is its owner's.
func (p *Part) Close() error { return nil }
