package place

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// segment is what a part does without waiting for others.
type segment struct {
	place
	id    int
	nodes []*ops.Node // as recorded
	deps  []int       // ids of segments of other parts that must be done
	sends []*transfer // of what it makes, behind its run
	gets  []*transfer // through the host's memory, before its run

	g    *ops.Graph // the plan's; nil for weights that another part reads, which nothing makes
	outs []ops.Value
	m    map[ops.Value]ops.Value // from recorded values to those of g
	at   map[ops.Value]int       // of a recorded value in outs

	plan ops.Plan
}

// transfer is a copy of a value that other segments read.
type transfer struct {
	v     ops.Value
	from  *segment
	to    int        // part
	users []*segment // that read it
	kept  bool       // as an output of the whole
	leaf  []*ops.Node
	size  int64
	off   int64 // in the region of part to
	how   route
}

// route is how a value gets to a part.
type route uint8

const (
	local    route = iota // it is there: out of the way of the part's next segment
	pushed                // the part that makes it copies it
	written               // likewise, to memory of the reader that lies in the process
	uploaded              // likewise, to the host, and the reader copies it from there
)

// cut is a graph in segments.
type cut struct {
	*assignment
	g         *ops.Graph
	outs      []ops.Value
	segments  []*segment // in an order in which each can run
	of        map[*ops.Node]*segment
	transfers map[valueOn]*transfer
	order     []*transfer

	inOff   []map[*ops.Node]int64 // of each part: where in its region an input lies
	inLeafs map[*ops.Node][]inputLeaf
	bytes   []int64 // of each part's region
	stage   []bool  // it needs memory of the host
	before  [][]bool
}

// inputLeaf is a leaf of a segment's graph that stands for an input.
type inputLeaf struct {
	part int
	leaf *ops.Node
}

// align is the alignment of values that cross segments, in bytes.
const align = 256

// cut makes segments of g.
func (d *Device) cut(g *ops.Graph, outs []ops.Value, ranks func() ops.Ranks) (*cut, error) {
	if err := g.Err(); err != nil {
		return nil, err
	}
	for i, o := range outs {
		if !o.Valid() {
			return nil, fmt.Errorf("place: output %d is not a value", i)
		}
	}
	a, err := d.assign(g, outs, ranks)
	if err != nil {
		return nil, err
	}
	c := &cut{assignment: a, g: g, outs: outs, of: map[*ops.Node]*segment{}, transfers: map[valueOn]*transfer{},
		inLeafs: map[*ops.Node][]inputLeaf{}, bytes: make([]int64, len(d.parts)), stage: make([]bool, len(d.parts))}
	c.collect()
	for _, s := range slices.Clone(c.segments) {
		if err := c.record(s); err != nil {
			return nil, err
		}
	}
	if err := c.keep(); err != nil {
		return nil, err
	}
	c.number()
	if err := c.layOut(); err != nil {
		return nil, err
	}
	return c, nil
}

// collect puts nodes into segments, by level and part.
func (c *cut) collect() {
	at := map[place]*segment{}
	for _, n := range c.nodes {
		p := place{c.part[n], c.level[n]}
		s := at[p]
		if s == nil {
			s = c.segment(p)
			s.g = &ops.Graph{Invariant: c.g.Invariant}
			at[p] = s
		}
		s.nodes = append(s.nodes, n)
		c.of[n] = s
	}
	c.sort()
}

func (c *cut) segment(p place) *segment {
	s := &segment{place: p, m: map[ops.Value]ops.Value{}, at: map[ops.Value]int{}}
	c.segments = append(c.segments, s)
	return s
}

func (c *cut) sort() {
	slices.SortStableFunc(c.segments, func(x, y *segment) int {
		return cmp.Or(cmp.Compare(x.level, y.level), cmp.Compare(x.part, y.part))
	})
}

// record makes the graph of a segment.
func (c *cut) record(s *segment) error {
	for _, n := range s.nodes {
		in := make([]ops.Value, len(n.In))
		for i, v := range n.In {
			var err error
			if in[i], err = c.value(s, v); err != nil {
				return err
			}
		}
		res := s.g.AddAt(n.Pos, n.Op, n.Attrs, in...)
		if err := s.g.Err(); err != nil {
			return fmt.Errorf("place: %s: %w", n.Pos, err)
		}
		for r, v := range res {
			s.m[n.Result(r)] = v
		}
	}
	return nil
}

// value returns what stands for a recorded value in the graph of s.
func (c *cut) value(s *segment, v ops.Value) (ops.Value, error) {
	for {
		w, ok := c.same[v]
		if !ok {
			break
		}
		v = w
	}
	if x, ok := s.m[v]; ok {
		return x, nil
	}
	n := v.Node()
	x, err := ops.Value{}, error(nil)
	switch {
	case n.Leaf == ops.Input:
		x = c.input(s, n)
	case n.Leaf == ops.Weight:
		x, err = c.weight(s, n)
	case n.Leaf == ops.State:
		x, err = c.leaf(s, n)
	case n.Op.View:
		var in ops.Value
		if in, err = c.value(s, n.In[0]); err == nil {
			x = s.g.AddAt(n.Pos, n.Op, n.Attrs, in)[0]
			err = s.g.Err()
		}
	case ops.Owner(v).Node().Leaf == ops.State:
		x, err = c.value(s, ops.Owner(v)) // updated by a segment before, in place
	default:
		x = c.crossing(s, c.of[n], v)
	}
	if err == nil {
		s.m[v] = x
	}
	return x, err
}

// add adds a leaf to the graph of s.
func (s *segment) add(n ops.Node) ops.Value {
	n.ID = len(s.g.Nodes)
	s.g.Nodes = append(s.g.Nodes, &n)
	return n.Result(0)
}

// leaf declares a weight or a state of the part.
func (c *cut) leaf(s *segment, n *ops.Node) (ops.Value, error) {
	l := *n
	var err error
	if l.Tensor, err = c.dev.local(n.Tensor, s.part); err != nil {
		return ops.Value{}, fmt.Errorf("%s: %w", n.Pos, err)
	}
	return s.add(l), nil
}

// weight declares a weight, which is copied in each run if it is another part's.
func (c *cut) weight(s *segment, n *ops.Node) (ops.Value, error) {
	at, err := c.dev.on(n.Tensor)
	if err != nil {
		return ops.Value{}, fmt.Errorf("%s: %w", n.Pos, err)
	}
	if at == Everywhere || at == s.part {
		return c.leaf(s, n)
	}
	if l := n.Tensor.Layout; !l.IsZero() {
		return ops.Value{}, fmt.Errorf("place: %s: weight %q lies on part %d in layout %q, and part %d reads it", n.Pos,
			n.Name, at, l.Name, s.part)
	}
	from := c.of[n]
	if from == nil {
		from = c.segment(place{at, -1})
		c.of[n] = from
	}
	return c.crossing(s, from, n.Result(0)), nil
}

// input declares the memory of an input.
func (c *cut) input(s *segment, n *ops.Node) ops.Value {
	x := s.add(ops.Node{Leaf: ops.Weight, Name: n.Name, Out: n.Out, Pos: n.Pos,
		Tensor: tensor.Tensor{Name: n.Name, DType: n.Out[0].DType, Shape: n.Out[0].Shape}})
	c.inLeafs[n] = append(c.inLeafs[n], inputLeaf{s.part, x.Node()})
	return x
}

// crossing declares the copy of a value that another segment makes.
func (c *cut) crossing(s, from *segment, v ops.Value) ops.Value {
	t := c.transfer(from, v, s.part)
	x := s.add(ops.Node{Leaf: ops.Weight, Name: fmt.Sprintf("from part %d", from.part), Out: []ops.Type{v.Type()},
		Pos: v.Node().Pos, Tensor: tensor.Tensor{DType: v.DType(), Shape: v.Shape()}})
	t.leaf, t.users = append(t.leaf, x.Node()), append(t.users, s)
	return x
}

// transfer returns the copy of a value for a part.
func (c *cut) transfer(from *segment, v ops.Value, to int) *transfer {
	key := valueOn{v, to}
	t := c.transfers[key]
	if t == nil {
		t = &transfer{v: v, from: from, to: to, how: c.dev.route(from.part, to)}
		c.transfers[key] = t
		c.order = append(c.order, t)
		from.export(v)
		from.sends = append(from.sends, t)
	}
	return t
}

// export makes a value an output of its segment's plan, or what stands for one where there is no plan.
func (s *segment) export(v ops.Value) int {
	i, ok := s.at[v]
	if !ok {
		i = len(s.at)
		s.at[v] = i
		if s.g != nil {
			s.outs = append(s.outs, s.m[v])
		}
	}
	return i
}

// keep sees to it that the outputs of the graph last until its next run.
func (c *cut) keep() error {
	last := map[int]*segment{}
	for _, s := range c.segments {
		if s.g != nil {
			last[s.part] = s
		}
	}
	for _, o := range c.outs {
		b := c.base(o)
		if b.Node().Op == nil {
			if b.Node().Leaf == ops.Input && c.inLeafs[b.Node()] == nil {
				c.inLeafs[b.Node()] = []inputLeaf{{0, nil}}
			}
			continue
		}
		if ops.Owner(b).Node().Leaf == ops.State {
			continue
		}
		s := c.of[b.Node()]
		if s == last[s.part] {
			s.export(b)
			continue
		}
		c.transfer(s, b, s.part).kept = true
	}
	return nil
}

// number orders the segments and says which of them are done before which.
func (c *cut) number() {
	c.sort()
	c.before = make([][]bool, len(c.segments))
	for i, s := range c.segments {
		s.id = i
	}
	for _, t := range c.order {
		for _, u := range t.users {
			if u.part != t.from.part && !slices.Contains(u.deps, t.from.id) {
				u.deps = append(u.deps, t.from.id)
			}
			if t.how == uploaded && u == t.first() {
				u.gets = append(u.gets, t)
			}
		}
	}
	last := map[int]int{}
	waited := map[[2]int]int{} // number of the last segment of a part that another waited for, plus 1
	for i, s := range c.segments {
		slices.Sort(s.deps)
		s.deps = slices.DeleteFunc(s.deps, func(j int) bool {
			key := [2]int{s.part, c.segments[j].part}
			if j < waited[key] {
				return true
			}
			waited[key] = j + 1
			return false
		})
		c.before[i] = make([]bool, len(c.segments))
		join := func(j int) {
			c.before[i][j] = true
			for k, b := range c.before[j] {
				c.before[i][k] = c.before[i][k] || b
			}
		}
		if j, ok := last[s.part]; ok {
			join(j)
		}
		for _, j := range s.deps {
			join(j)
		}
		last[s.part] = i
	}
}

// first returns the first segment that reads the copy.
func (t *transfer) first() *segment {
	return slices.MinFunc(t.users, func(x, y *segment) int { return cmp.Compare(x.id, y.id) })
}
