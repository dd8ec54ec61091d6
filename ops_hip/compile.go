package opship

import (
	"errors"
	"fmt"
	"slices"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops/plan"
	"github.com/hipengine/hipengine/ops_hip/internal/hiprt"
	"github.com/hipengine/hipengine/tensor"
)

// step is one node of a plan with its kernel and launches.
type step struct {
	node     *ops.Node
	kernel   string
	launches []Launch
}

// Compile lowers g, plans its memory and prepares the launches. All memory that running needs is allocated here.
func (d *Device) Compile(g *ops.Graph, outs ...ops.Value) (ops.Plan, error) {
	p, err := d.compile(g, outs)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// lowered is a graph with the kernels and the arena that it needs.
type lowered struct {
	g       *ops.Graph
	outs    []ops.Value
	steps   []step
	arena   plan.Arena
	scratch int64
}

// lower rewrites g for the device, chooses kernels and plans memory.
func (d *Device) lower(g *ops.Graph, outs []ops.Value) (l lowered, err error) {
	if l.g, l.outs, err = ops.Lower(g, d, outs...); err != nil {
		return l, err
	}
	if l.steps, l.scratch, err = d.selectKernels(l.g); err != nil {
		return l, err
	}
	var badSize error
	l.arena = plan.Build(l.g, l.outs, func(v ops.Value) int64 {
		n, err := tensor.Bytes(v.DType(), v.Shape())
		if err != nil && badSize == nil {
			badSize = fmt.Errorf("opship: %v: %w", v.Node(), err)
		}
		return n
	}, memAlign)
	return l, badSize
}

// scratchAt returns where scratch memory starts.
func (l *lowered) scratchAt() int64 { return (l.arena.Bytes + memAlign - 1) &^ (memAlign - 1) }

// bytes returns the memory of arena and scratch.
func (l *lowered) bytes() int64 { return l.scratchAt() + l.scratch }

func (d *Device) compile(g *ops.Graph, outs []ops.Value) (_ *Plan, err error) {
	l, err := d.lower(g, outs)
	if err != nil {
		return nil, err
	}
	p := &Plan{dev: d, steps: l.steps, inputs: map[string]tensor.Tensor{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
		}
	}()
	if p.arena, err = d.alloc(l.bytes(), memPlan); err != nil {
		return nil, err
	}
	storage, err := d.place(l.g, l.arena, p.arena)
	if err != nil {
		return nil, err
	}
	for _, n := range l.g.Nodes {
		if n.Leaf == ops.Input {
			p.inputs[n.Name] = storage[n.Result(0)]
		}
	}
	for _, o := range l.outs {
		p.outs = append(p.outs, storage[o])
	}
	if err := p.prepare(storage, p.arena.addr+hiprt.Ptr(l.scratchAt())); err != nil {
		return nil, err
	}
	return p, nil
}

// selectKernels chooses the kernel of each node and returns the scratch memory that the neediest wants.
func (d *Device) selectKernels(g *ops.Graph) (steps []step, scratch int64, err error) {
	t := *d.target
	t.Mixture = slices.ContainsFunc(g.Nodes, func(n *ops.Node) bool { return n.Op == ops.RouteOp })
	for _, n := range g.Nodes {
		if n.Op == nil || n.Op.View {
			continue
		}
		k, ok := d.opt.kernels.find(n, &t)
		if !ok {
			return nil, 0, fmt.Errorf("opship: %s: %w: %v on %s", n.Pos, ops.ErrUnsupported, n, d.info.Name)
		}
		ls, err := k.Launch(n, &t)
		if err != nil {
			return nil, 0, fmt.Errorf("opship: %s: %v: kernel %s: %w", n.Pos, n, k.Name, err)
		}
		for _, l := range ls {
			if l.Scratch < 0 || l.Scratch > maxAlloc {
				return nil, 0, fmt.Errorf("opship: %s: %v: kernel %s wants %d bytes of scratch memory", n.Pos, n, k.Name, l.Scratch)
			}
			scratch = max(scratch, l.Scratch)
		}
		steps = append(steps, step{n, k.Name, ls})
	}
	return steps, scratch, nil
}

// place returns the tensor that stores each value: its own memory for weights and states, a part of the arena for
// the rest.
func (d *Device) place(g *ops.Graph, a plan.Arena, arena *buffer) (map[ops.Value]tensor.Tensor, error) {
	storage := map[ops.Value]tensor.Tensor{}
	for _, n := range g.Nodes {
		for r, typ := range n.Out {
			v := n.Result(r)
			t := tensor.Tensor{Name: n.Name, DType: typ.DType, Shape: typ.Shape, Buf: arena, Off: a.Offset[v]}
			if n.Leaf == ops.Weight || n.Leaf == ops.State {
				t = n.Tensor
			} else if n.Op != nil && n.Op.Storage(r) >= 0 {
				t = storage[n.In[n.Op.Storage(r)]]
				t.DType, t.Shape = typ.DType, typ.Shape
			}
			if _, ok := layouts[typ.DType]; ok && n.Leaf == ops.Weight {
				if _, ok := repacked(t); !ok {
					return nil, fmt.Errorf("opship: %v: weights of type %v must be in memory for weights", n, typ.DType)
				}
			}
			size, err := d.bytes(t)
			if err != nil {
				return nil, fmt.Errorf("opship: %v: %w", n, err)
			}
			if _, err := d.address(t, size); err != nil {
				return nil, fmt.Errorf("opship: %v: %w", n, err)
			}
			storage[v] = t
		}
	}
	return storage, nil
}

// prepare resolves the launches of all steps to addresses and loads their kernels. scratch is where their scratch
// memory is.
func (p *Plan) prepare(storage map[ops.Value]tensor.Tensor, scratch hiprt.Ptr) error {
	d := p.dev
	total := 0
	for _, s := range p.steps {
		for i := range s.launches {
			total += argBytes(&s.launches[i])
		}
	}
	args, err := d.alloc(int64(total), ops.MemPinned)
	if err != nil {
		return err
	}
	p.args = args
	mem := args.host.Bytes
	return d.thread.Do(background, func() error {
		for _, s := range p.steps {
			for i := range s.launches {
				l := &s.launches[i]
				fail := func(err error) error {
					return fmt.Errorf("opship: %s: %v: kernel %s: %w", s.node.Pos, s.node, s.kernel, err)
				}
				f, err := d.function(l)
				if err != nil {
					return fail(err)
				}
				block, err := d.resolve(l, storage, scratch)
				if err != nil {
					return fail(err)
				}
				h := hiprt.Launch{Func: f, Grid: ones(l.Grid), Block: ones(l.Block), Args: block}
				n := argBytes(l)
				d.rt.Prepare(&h, mem[:n:n])
				mem = mem[n:]
				p.launches = append(p.launches, h)
			}
		}
		return nil
	})
}

// argBytes returns the room of a launch's arguments in host memory.
func argBytes(l *Launch) int { return (hiprt.PrepareSize(l.Args.Size()) + 63) &^ 63 }

// ones replaces zeros, which launch functions refuse.
func ones(d [3]uint32) [3]uint32 {
	for i := range d {
		d[i] = max(1, d[i])
	}
	return d
}

// resolve returns the argument block of l with its addresses filled in.
func (d *Device) resolve(l *Launch, storage map[ops.Value]tensor.Tensor, scratch hiprt.Ptr) ([]byte, error) {
	b := l.Args.bytes()
	for _, r := range l.Args.relocs {
		if !r.value.Valid() {
			if r.off < 0 || r.off >= l.Scratch {
				return nil, fmt.Errorf("argument points to byte %d of %d bytes of scratch memory", r.off, l.Scratch)
			}
			putPtr(b[r.at:], scratch+hiprt.Ptr(r.off))
			continue
		}
		t, ok := storage[r.value]
		if !ok {
			return nil, fmt.Errorf("argument %v is no input or result of the node", r.value.Type())
		}
		size, err := d.bytes(t)
		if err != nil {
			return nil, err
		}
		if r.off < 0 || r.off >= size {
			return nil, fmt.Errorf("argument points to byte %d of %v, which has %d", r.off, r.value.Type(), size)
		}
		addr, err := d.address(t, size)
		if err != nil {
			return nil, err
		}
		putPtr(b[r.at:], addr+hiprt.Ptr(r.off))
	}
	return b, nil
}
