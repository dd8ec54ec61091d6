package opship

import (
	"errors"
	"fmt"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops/fuse"
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

// Compile lowers g, plans its memory and prepares the launches. All memory that running needs is allocated here, but
// for what the plan needs anew when its arena has moved, which is nothing.
func (d *Device) Compile(g *ops.Graph, a *ops.Arena, outs ...ops.Value) (ops.Plan, error) {
	d.graphs.Do(d.checkGraphs)
	p, err := d.compile(g, a, outs)
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

// maxCounters is far above what launches have blocks that wait for others.
const maxCounters = 1 << 20

// counters returns how many counters the neediest launch of steps has.
func counters(steps []step) (n int) {
	for _, s := range steps {
		for _, l := range s.launches {
			n = max(n, l.Counters)
		}
	}
	return n
}

// lower fuses what the device has fused kernels for, rewrites g to ops that it has, chooses kernels and plans memory.
func (d *Device) lower(g *ops.Graph, outs []ops.Value) (l lowered, err error) {
	recorded := g
	if !g.Lowered() {
		if g, outs, err = fuse.Rewrite(g, fusedFor(g), outs); err != nil {
			return l, err
		}
	}
	if l.g, l.outs, err = ops.Lower(g, d, outs...); err != nil {
		return l, d.withLayoutHint(recorded, err)
	}
	if !recorded.Lowered() && !recorded.Invariant {
		if l.g, l.outs, err = fuse.Group(l.g, l.outs, d.Supports); err != nil {
			return l, err
		}
	}
	if err := inTurn(l.g); err != nil {
		return l, err
	}
	spared, err := d.selectKernels(&l)
	if err != nil {
		return l, err
	}
	var badSize error
	l.arena = plan.Build(l.g, l.outs, func(v ops.Value) int64 {
		if spared[v] {
			return 0
		}
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

func (d *Device) compile(g *ops.Graph, a *ops.Arena, outs []ops.Value) (_ *Plan, err error) {
	l, err := d.lower(g, outs)
	if err != nil {
		return nil, err
	}
	storage, err := d.place(l.g, l.arena)
	if err != nil {
		return nil, err
	}
	p := &Plan{dev: d, arena: a, bytes: l.bytes(), steps: l.steps, inputs: map[string]tensor.Tensor{}}
	if a == nil {
		p.arena, p.own = &ops.Arena{}, true
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
		}
	}()
	if err := p.arena.Grow(d, p.bytes); err != nil {
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
	if err := p.prepare(storage, l.scratchAt()); err != nil {
		return nil, err
	}
	return p, nil
}

// selectKernels chooses the kernel of each node of l.g, which must be the device's own, inserts the packs that
// kernels want, and fills l.steps and l.scratch, what the neediest wants. It returns the values that nobody writes.
func (d *Device) selectKernels(l *lowered) (map[ops.Value]bool, error) {
	t := d.target
	if l.g.Invariant {
		invariant := *t
		invariant.Invariant = true
		t = &invariant
	}
	ps := newPacks()
	var nodes []*ops.Node
	for _, n := range l.g.Nodes {
		if n.Op != nil && !n.Op.View {
			k, err := d.kernelFor(n, t)
			if err != nil {
				return nil, err
			}
			made, err := ps.add(n, k, t)
			if err != nil {
				return nil, err
			}
			nodes = append(nodes, made...)
		}
		nodes = append(nodes, n)
	}
	for _, o := range l.outs {
		ps.reads(o)
	}
	l.g.Nodes = nodes
	spared := map[ops.Value]bool{}
	for i, n := range nodes {
		n.ID = i
		if n.Op == nil || n.Op.View {
			continue
		}
		k, ok := ps.chosen[n]
		if !ok {
			var err error
			if k, err = d.kernelFor(n, t); err != nil {
				return nil, err
			}
		}
		ls, err := k.Launch(n, t)
		if err != nil {
			return nil, fmt.Errorf("opship: %s: %v: kernel %s: %w", n.Pos, n, k.Name, err)
		}
		unread := ps.spared(n, k)
		for i := range ls {
			if s := ls[i].Scratch; s < 0 || s > maxAlloc {
				return nil, fmt.Errorf("opship: %s: %v: kernel %s wants %d bytes of scratch memory", n.Pos, n, k.Name,
					s)
			}
			l.scratch = max(l.scratch, ls[i].Scratch)
			for _, v := range unread {
				ls[i].Args = ls[i].Args.without(v)
				spared[v] = true
			}
			if c := ls[i].Counters; c < 0 || c > maxCounters {
				return nil, fmt.Errorf("opship: %s: %v: kernel %s wants %d counters, at most %d", n.Pos, n, k.Name, c,
					maxCounters)
			}
		}
		l.steps = append(l.steps, step{n, k.Name, ls})
	}
	return spared, nil
}

// kernelFor returns the best kernel for n on t, which is the device's target.
func (d *Device) kernelFor(n *ops.Node, t *Target) (Kernel, error) {
	k, ok := d.opt.kernels.find(n, t)
	if !ok {
		return k, fmt.Errorf("opship: %s: %w: %v on %s", n.Pos, ops.ErrUnsupported, n, d.info.Name)
	}
	return k, nil
}

// place returns the tensor that stores each value: its own memory for weights and states, a part of the arena for
// the rest, whose tensors have no buffer since the arena may move.
func (d *Device) place(g *ops.Graph, a plan.Arena) (map[ops.Value]tensor.Tensor, error) {
	storage := map[ops.Value]tensor.Tensor{}
	for _, n := range g.Nodes {
		for r, typ := range n.Out {
			v := n.Result(r)
			t := tensor.Tensor{Name: n.Name, DType: typ.DType, Shape: typ.Shape, Off: a.Offset[v]}
			if n.Leaf == ops.Weight || n.Leaf == ops.State {
				t = n.Tensor
				if err := d.checkLeaf(n); err != nil {
					return nil, fmt.Errorf("opship: %v: %w", n, err)
				}
			} else if n.Op != nil && n.Op.Storage(r) >= 0 {
				t = storage[n.In[n.Op.Storage(r)]]
				t.DType, t.Shape = typ.DType, typ.Shape
			}
			storage[v] = t
		}
	}
	return storage, nil
}

// checkLeaf reports whether the memory of a weight or a state is what it should be.
func (d *Device) checkLeaf(n *ops.Node) error {
	t := n.Tensor
	if n.Leaf == ops.State && !t.Layout.IsZero() {
		return fmt.Errorf("states lie as in files, not in layout %q", t.Layout.Name)
	}
	if err := checkLayout(t); err != nil {
		return err
	}
	size, err := ops.WeightBytes(t)
	if err == nil {
		_, err = d.address(t, size)
	}
	return err
}

// prepare resolves the launches of all steps to addresses and loads their kernels. scratch is where in the arena
// their scratch memory is.
func (p *Plan) prepare(storage map[ops.Value]tensor.Tensor, scratch int64) error {
	d := p.dev
	total := 0
	for _, s := range p.steps {
		for i := range s.launches {
			a := s.launches[i].Args
			total += argBytes(&hiprt.Launch{Args: a.buf, Params: a.offsets()})
		}
	}
	args, err := d.alloc(int64(total), ops.MemPinned)
	if err != nil {
		return err
	}
	p.args = args
	if n := counters(p.steps); n > 0 {
		if p.counters, err = d.allocZeroed(4 * int64(n)); err != nil {
			return err
		}
	}
	arena, gen := p.arena.Buffer()
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
				block, err := p.resolve(l, storage, scratch)
				if err != nil {
					return fail(err)
				}
				k, _ := d.modules[l.Object].meta.Kernel(l.Symbol) // which function found
				p.launches = append(p.launches,
					hiprt.Launch{Func: f, Grid: ones(l.Grid), Block: ones(l.Block), Args: block,
						Params: l.Args.offsets(), Overlaps: k.Awaits && !d.opt.InTurn})
			}
		}
		return p.bind(arena, gen)
	})
}

// argBytes returns the room in host memory of the arguments of l.
func argBytes(l *hiprt.Launch) int { return (l.PrepareSize() + 63) &^ 63 }

// ones replaces zeros, which launch functions refuse.
func ones(d [3]uint32) [3]uint32 {
	for i := range d {
		d[i] = max(1, d[i])
	}
	return d
}

// resolve returns the argument block of l, the plan's next launch. Addresses of weights and states are filled in;
// those in the arena are remembered for bind.
func (p *Plan) resolve(l *Launch, storage map[ops.Value]tensor.Tensor, scratch int64) ([]byte, error) {
	b := l.Args.bytes()
	for _, r := range l.Args.relocs {
		if r.counters {
			if l.Counters <= 0 {
				return nil, fmt.Errorf("argument points to counters, of which the launch has %d", l.Counters)
			}
			putPtr(b[r.at:], p.counters.addr)
			continue
		}
		if !r.value.Valid() {
			if r.off < 0 || r.off >= l.Scratch {
				return nil, fmt.Errorf("argument points to byte %d of %d bytes of scratch memory", r.off, l.Scratch)
			}
			p.moving = append(p.moving, moving{len(p.launches), r.at, scratch + r.off})
			continue
		}
		t, ok := storage[r.value]
		if !ok {
			return nil, fmt.Errorf("argument %v is no input or result of the node", r.value.Type())
		}
		size, err := ops.WeightBytes(t)
		if err != nil {
			return nil, err
		}
		if r.off < 0 || r.off >= size {
			return nil, fmt.Errorf("argument points to byte %d of %v, which has %d", r.off, r.value.Type(), size)
		}
		if t.Buf == nil {
			p.moving = append(p.moving, moving{len(p.launches), r.at, t.Off + r.off})
			continue
		}
		addr, err := p.dev.address(t, size)
		if err != nil {
			return nil, err
		}
		putPtr(b[r.at:], addr+hiprt.Ptr(r.off))
	}
	return b, nil
}
