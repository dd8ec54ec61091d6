package host

import (
	"errors"
	"fmt"
	"slices"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops/fuse"
	"github.com/hipengine/hipengine/ops/plan"
	"github.com/hipengine/hipengine/ops_ref/internal/pages"
	"github.com/hipengine/hipengine/tensor"
)

// align is the alignment of values in an arena: a cache line.
const align = 64

// ErrClosed reports a run of a plan after its Close.
var ErrClosed = errors.New("the plan is closed")

// Config is how a device stores values.
type Config struct {
	Wide   bool                // F32 values of the arena are float64
	Layout func(l string) bool // reports whether kernels read weights of this layout; nil: those of files alone
}

// Plan is the part of a plan that knows where values are: weights and states where the caller put them, all others in
// an arena, which may move.
type Plan struct {
	Nodes []*ops.Node // that run, in order

	graph  *ops.Graph
	dev    ops.Device
	config Config
	arena  *ops.Arena
	own    bool // the arena
	bytes  int64
	gen    uint64 // of the arena when values were bound

	places map[ops.Value]place
	inputs map[string]place
	outs   []place
	held   []*pages.Memory // of weights and states, so that freeing them does not pull them from under a run
	closed bool
}

// place is where a value is.
type place struct {
	t    tensor.Tensor // Buf is nil in the arena
	size int64         // bytes; of an F32 value in a wide arena twice those of t
	raw  []byte        // of weights and states
}

// lower fuses what d wants fused, makes g one that d can run, and plans the arena of its values.
func lower(d ops.Device, g *ops.Graph, outs []ops.Value, wide bool) (*ops.Graph, []ops.Value, plan.Arena, error) {
	g, outs, err := fuse.Rewrite(g, d.Caps().Fuse, outs)
	if err != nil {
		return nil, nil, plan.Arena{}, err
	}
	if g, outs, err = ops.Lower(g, d, outs...); err != nil {
		return nil, nil, plan.Arena{}, err
	}
	var badSize error
	a := plan.Build(g, outs, func(v ops.Value) int64 {
		n, err := size(v.Type(), wide)
		if err != nil && badSize == nil {
			badSize = fmt.Errorf("host: %v: %w", v.Node(), err)
		}
		return n
	}, align)
	return g, outs, a, badSize
}

// size returns the bytes of a value in the arena.
func size(t ops.Type, wide bool) (int64, error) {
	n, err := tensor.Bytes(t.DType, t.Shape)
	if wide && t.DType == tensor.F32 {
		n *= 2
	}
	return n, err
}

// PlanBytes returns the bytes that a plan of g takes in its arena.
func PlanBytes(d ops.Device, g *ops.Graph, outs []ops.Value, c Config) (int64, error) {
	_, _, a, err := lower(d, g, outs, c.Wide)
	return a.Bytes, err
}

// NewPlan lowers g for d and gives its values places in a, which it makes large enough, or in an arena of its own if
// a is nil.
func NewPlan(d ops.Device, g *ops.Graph, a *ops.Arena, outs []ops.Value, c Config) (_ *Plan, err error) {
	p := &Plan{dev: d, config: c, arena: a, places: map[ops.Value]place{}, inputs: map[string]place{}}
	if a == nil {
		p.arena, p.own = &ops.Arena{}, true
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
		}
	}()
	g, outs, layout, err := lower(d, g, outs, c.Wide)
	if err != nil {
		return nil, err
	}
	p.graph, p.bytes = g, layout.Bytes
	for _, n := range g.Nodes {
		for r := range n.Out {
			if err := p.put(n, r, layout.Offset); err != nil {
				return nil, fmt.Errorf("host: %v: %w", n, err)
			}
		}
		switch {
		case n.Leaf == ops.Input:
			p.inputs[n.Name] = p.places[n.Result(0)]
		case n.Op != nil && !n.Op.View:
			p.Nodes = append(p.Nodes, n)
		}
	}
	for _, o := range outs {
		p.outs = append(p.outs, p.places[o])
	}
	if err := p.arena.Grow(d, p.bytes); err != nil {
		return nil, fmt.Errorf("host: arena of %d bytes: %w", p.bytes, err)
	}
	return p, nil
}

// put gives result r of n its place.
func (p *Plan) put(n *ops.Node, r int, offset map[ops.Value]int64) error {
	v, typ := n.Result(r), n.Out[r]
	if n.Leaf == ops.Weight || n.Leaf == ops.State {
		l := n.Tensor.Layout
		if !l.IsZero() && (n.Leaf == ops.State || p.config.Layout == nil || !p.config.Layout(l.Name)) {
			return fmt.Errorf("%q lies in layout %q, which no kernel reads", n.Name, l.Name)
		}
		raw, wide, err := all(n.Tensor)
		if err != nil {
			return err
		}
		if wide {
			return fmt.Errorf("%q lies in an arena", n.Name)
		}
		p.hold(n.Tensor.Buf.(*Buffer).mem)
		p.places[v] = place{t: n.Tensor, size: int64(len(raw)), raw: raw}
		return nil
	}
	bytes, err := size(typ, p.config.Wide)
	if err != nil {
		return err
	}
	at := place{t: tensor.Tensor{Name: n.Name, DType: typ.DType, Shape: typ.Shape, Off: offset[v]}, size: bytes}
	if n.Op != nil && n.Op.Storage(r) >= 0 { // a view has a shape of its own
		at = p.places[n.In[n.Op.Storage(r)]]
		if l := at.t.Layout; !l.IsZero() && at.t.Shape.Last() != typ.Shape.Last() {
			return fmt.Errorf("rows of %q, in layout %q, cannot be seen as rows of %d elements", at.t.Name, l.Name,
				typ.Shape.Last())
		}
		at.t.Shape = typ.Shape
	}
	p.places[v] = at
	return nil
}

// hold keeps m until the plan is closed.
func (p *Plan) hold(m *pages.Memory) {
	if m != nil && !slices.Contains(p.held, m) {
		m.Hold()
		p.held = append(p.held, m)
	}
}

// Moved reports whether values lie elsewhere than [Bind] found them. It is to be called before each run, and makes
// room again if the arena was freed.
func (p *Plan) Moved() (bool, error) {
	if p.closed {
		return false, ErrClosed
	}
	if _, gen := p.arena.Buffer(); gen == p.gen {
		return false, nil
	}
	if err := p.arena.Grow(p.dev, p.bytes); err != nil {
		return false, fmt.Errorf("host: arena of %d bytes: %w", p.bytes, err)
	}
	return true, nil
}

// Values are the results of each node of a plan, by its ID.
type Values[V any] [][]V

// Bind returns all values of p as view makes them of their tensors and bytes: those of a wide tensor, which is F32 to
// its readers, are float64. They are good until the arena moves.
func Bind[V any](p *Plan, view func(t tensor.Tensor, raw []byte, wide bool) (V, error)) (Values[V], error) {
	buf, gen := p.arena.Buffer()
	b, ok := buf.(*Buffer)
	if !ok || b.wide != p.config.Wide {
		return nil, fmt.Errorf("host: the arena's %w", errForeign)
	}
	all := make([]V, 0, len(p.places))
	views := make(Values[V], len(p.graph.Nodes))
	for i, n := range p.graph.Nodes {
		first := len(all)
		for r := range n.Out {
			v := n.Result(r)
			at := p.places[v]
			raw := at.raw
			if at.t.Buf == nil {
				raw = b.b[at.t.Off:][:at.size:at.size]
			}
			x, err := view(at.t, raw, b.wide && at.t.Buf == nil && at.t.DType == tensor.F32)
			if err != nil {
				return nil, fmt.Errorf("host: %v: %w", n, err)
			}
			all = append(all, x)
		}
		views[i] = all[first:len(all):len(all)]
	}
	p.gen = gen
	return views, nil
}

// Operands returns the operands of n.
func (v Values[V]) Operands(n *ops.Node) (in, out []V) {
	in = make([]V, len(n.In))
	for i, x := range n.In {
		in[i] = v[x.Node().ID][x.Index()]
	}
	return in, v[n.ID]
}

// Invariant reports what the graph demands: see ops.Graph.
func (p *Plan) Invariant() bool { return p.graph.Invariant }

// Input implements ops.Plan.
func (p *Plan) Input(name string) (tensor.Tensor, bool) {
	at, ok := p.inputs[name]
	return p.tensor(at), ok
}

// Output implements ops.Plan.
func (p *Plan) Output(i int) tensor.Tensor { return p.tensor(p.outs[i]) }

// tensor returns the tensor at a place.
func (p *Plan) tensor(at place) tensor.Tensor {
	if at.t.Buf == nil && !p.closed {
		if b, _ := p.arena.Buffer(); b != nil {
			at.t.Buf = b
		}
	}
	return at.t
}

// Close ends the plan. It may be called again.
func (p *Plan) Close() error {
	if p.closed {
		return nil
	}
	p.closed = true
	for _, m := range p.held {
		m.Release()
	}
	p.held = nil
	if p.own {
		return p.arena.Free()
	}
	return nil
}
