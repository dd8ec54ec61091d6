package opship

import (
	"slices"

	"github.com/hipengine/hipengine/ops"
)

// Planned is one launch of a plan.
type Planned struct {
	Node   *ops.Node // that it runs for, of the lowered graph; some nodes take several launches
	Kernel string    // registered name
	Launch Launch

	// Scratch is how many bytes of scratch memory it reads and writes, if all of each part that it has an address of:
	// parts end where another begins that a launch for the node has an address of.
	Scratch int64
}

// Planned returns the launches of a plan of g in order. It allocates nothing on the device, and neither weights nor
// states of g need a buffer.
func (d *Device) Planned(g *ops.Graph, outs ...ops.Value) ([]Planned, error) {
	l, err := d.lower(g, outs)
	if err != nil {
		return nil, err
	}
	var ls []Planned
	for _, s := range l.steps {
		for i, n := range scratchParts(s.launches) {
			ls = append(ls, Planned{s.node, s.kernel, s.launches[i], n})
		}
	}
	return ls, nil
}

// scratchParts returns Planned.Scratch of each launch of a node.
func scratchParts(ls []Launch) []int64 {
	var starts []int64
	end := int64(0)
	for _, l := range ls {
		starts = append(starts, l.Args.scratchOffsets()...)
		end = max(end, l.Scratch)
	}
	starts = append(starts, end)
	slices.Sort(starts)
	bytes := make([]int64, len(ls))
	for i, l := range ls {
		offsets := l.Args.scratchOffsets()
		slices.Sort(offsets)
		for _, off := range slices.Compact(offsets) {
			next, _ := slices.BinarySearch(starts, off+1)
			bytes[i] += starts[min(next, len(starts)-1)] - off
		}
	}
	return bytes
}

// scratchOffsets returns where in scratch memory the block points to.
func (a Args) scratchOffsets() (offsets []int64) {
	for _, r := range a.relocs {
		if !r.value.Valid() && !r.counters {
			offsets = append(offsets, r.off)
		}
	}
	return offsets
}

// Packs reports whether the launch converts activations for the kernels of other nodes and does nothing else.
func (p Planned) Packs() bool { return p.Node.Op == packOp }

// Values returns the values that the block points to, each once, in the order of the arguments. What is in scratch
// memory is none of them.
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
