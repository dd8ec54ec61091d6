package opship

import "github.com/hipengine/hipengine/ops"

// Planned is one launch of a plan.
type Planned struct {
	Node   *ops.Node // that it runs for, of the lowered graph; some nodes take several launches
	Kernel string    // registered name
	Launch Launch
}

// Planned returns the launches of a plan of g in order. It allocates nothing on the device, and neither weights nor states
// of g need a buffer.
func (d *Device) Planned(g *ops.Graph, outs ...ops.Value) ([]Planned, error) {
	l, err := d.lower(g, outs)
	if err != nil {
		return nil, err
	}
	var ls []Planned
	for _, s := range l.steps {
		for _, k := range s.launches {
			ls = append(ls, Planned{s.node, s.kernel, k})
		}
	}
	return ls, nil
}

// Packs reports whether the launch converts activations for the kernels of other nodes and does nothing else.
func (p Planned) Packs() bool { return p.Node.Op == packOp }

// Values returns the values that the block points to, each once, in the order of the arguments. What is in scratch memory
// is none of them.
func (a Args) Values() []ops.Value {
	var vs []ops.Value
	seen := map[ops.Value]bool{}
	for _, r := range a.relocs {
		if r.value.Valid() && !seen[r.value] {
			seen[r.value] = true
			vs = append(vs, r.value)
		}
	}
	return vs
}

// Scalars returns the block with zeros in place of addresses.
func (a Args) Scalars() []byte { return a.bytes() }
