package place

import (
	"fmt"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// assignment says where and when each node of a graph runs. Nodes of one part and level are a segment: what they need of
// other parts was made at lower levels.
type assignment struct {
	dev   *Device
	nodes []*ops.Node // that run, in order: no leaves and no views
	part  map[*ops.Node]int
	level map[*ops.Node]int

	// same has, for results of nodes that were replaced, what stands for them.
	same map[ops.Value]ops.Value

	// joint has nodes of several parts that wait for each other while they run, each with all of them.
	joint map[*ops.Node][]*ops.Node
	ranks func() ops.Ranks

	read map[ops.Value]bool // by a node that runs, or as an output
	want map[*ops.Node]int  // the part of the first node behind one that cannot run elsewhere
}

// base follows views back to the value that has the storage, or was computed.
func (a *assignment) base(v ops.Value) ops.Value {
	for {
		if w, ok := a.same[v]; ok {
			v = w
		} else if n := v.Node(); n.Op != nil && n.Op.View {
			v = n.In[0]
		} else {
			return v
		}
	}
}

// bytes returns the size of a value, for comparisons.
func bytes(v ops.Value) int64 {
	n, err := tensor.Bytes(v.DType(), v.Shape())
	if err != nil {
		return 0
	}
	return n
}

// assign places the nodes of g that outs or a state need.
func (d *Device) assign(g *ops.Graph, outs []ops.Value, ranks func() ops.Ranks) (*assignment, error) {
	a := &assignment{dev: d, part: map[*ops.Node]int{}, level: map[*ops.Node]int{}, same: map[ops.Value]ops.Value{},
		want: map[*ops.Node]int{}, joint: map[*ops.Node][]*ops.Node{}, ranks: ranks,
		read: map[ops.Value]bool{}}
	live := ops.Needed(g, outs)
	for _, o := range outs {
		a.read[o] = true
	}
	pinned := map[*ops.Node]int{}
	for i := len(g.Nodes) - 1; i >= 0; i-- {
		n := g.Nodes[i]
		if n.Op == nil || !live[n] {
			continue
		}
		for _, v := range n.In {
			a.read[v] = true
		}
		at, err := a.pin(n)
		if err != nil {
			return nil, err
		}
		if pinned[n] = at; at < 0 {
			var ok bool
			if at, ok = a.want[n]; !ok {
				continue
			}
		}
		for _, v := range n.In {
			a.want[v.Node()] = at
		}
	}
	arrived := map[valueOn]bool{} // values that are on their way to a part already
	for _, n := range g.Nodes {
		if n.Op == nil || n.Op.View || !live[n] {
			continue
		}
		if n.Op.Collective {
			if err := a.spread(n, arrived); err != nil {
				return nil, err
			}
			continue
		}
		at := pinned[n]
		if at < 0 {
			at = a.choose(n, arrived)
		}
		a.put(n, at, arrived)
	}
	a.levels()
	return a, nil
}

// valueOn is a value on a part.
type valueOn struct {
	v    ops.Value
	part int
}

// put places a node.
func (a *assignment) put(n *ops.Node, part int, arrived map[valueOn]bool) {
	a.nodes = append(a.nodes, n)
	a.part[n] = part
	for _, v := range n.In {
		arrived[valueOn{a.base(v), part}] = true
	}
}

// pin returns the part that n has to run on, because of its states or its weights, or -1.
func (a *assignment) pin(n *ops.Node) (int, error) {
	if n.Op.View {
		return -1, nil
	}
	at, state := -1, ""
	weights := map[int]int64{}
	for _, v := range n.In {
		leaf := ops.Root(v)
		if leaf.Leaf != ops.Weight && leaf.Leaf != ops.State {
			continue
		}
		p, err := a.dev.on(leaf.Tensor)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", n.Pos, err)
		}
		switch {
		case leaf.Leaf == ops.Weight && p != Everywhere:
			weights[p] += bytes(leaf.Result(0))
		case leaf.Leaf == ops.State && p == Everywhere && leaf.Tensor.Buf != nil:
			return 0, fmt.Errorf("place: %s: state %q has copies, of which %v would update one", n.Pos, leaf.Name, n)
		case leaf.Leaf == ops.State && p != Everywhere:
			if state != "" && at != p {
				return 0, fmt.Errorf("place: %s: %v has states on several parts: %q on %d and %q on %d", n.Pos, n, state, at,
					leaf.Name, p)
			}
			at, state = p, leaf.Name
		}
	}
	if state != "" {
		return at, nil
	}
	most := int64(-1)
	for p := range a.dev.parts {
		if b, ok := weights[p]; ok && b > most {
			at, most = p, b
		}
	}
	return at, nil
}

// choose returns the part on which n, which is bound to none, moves the fewest bytes.
func (a *assignment) choose(n *ops.Node, arrived map[valueOn]bool) int {
	want, wanted := a.want[n]
	var from []ops.Value
	for _, v := range n.In {
		if b := a.base(v); b.Node().Op != nil {
			from = append(from, b)
		}
	}
	if len(from) == 0 {
		if wanted {
			return want
		}
		return 0
	}
	best, least := -1, int64(0)
	try := func(p int) {
		var cost int64
		for _, v := range from {
			if a.part[v.Node()] != p && !arrived[valueOn{v, p}] {
				cost += bytes(v)
			}
		}
		if wanted && want != p {
			for r := range n.Out {
				cost += bytes(n.Result(r))
			}
		}
		if best < 0 || cost < least || cost == least && wanted && p == want {
			best, least = p, cost
		}
	}
	for _, v := range from {
		try(a.part[v.Node()])
	}
	return best
}

// spread replaces a collective op: what each result that is read stands for is computed where the input of its number
// is, once for inputs of the same part.
func (a *assignment) spread(n *ops.Node, arrived map[valueOn]bool) error {
	if a.meet(n, arrived) {
		return nil
	}
	made := map[int][]ops.Value{}
	for i, v := range n.In {
		if !a.read[n.Result(i)] {
			continue
		}
		part := 0
		if b := a.base(v); b.Node().Op != nil {
			part = a.part[b.Node()]
		} else if w, ok := a.want[n]; ok {
			part = w
		}
		if made[part] == nil {
			sub := &ops.Graph{}
			leaves := make([]ops.Value, len(n.In))
			for j, x := range n.In {
				leaves[j] = sub.Input(fmt.Sprintf("in%d", j), x.DType(), x.Shape()...)
			}
			outs := n.Op.Expand(sub, append([]ops.Value(nil), leaves...), n.Attrs)
			if err := sub.Err(); err != nil {
				return fmt.Errorf("place: %s: expanding %v: %w", n.Pos, n, err)
			}
			if len(outs) != len(n.Out) {
				return fmt.Errorf("place: %s: expanding %v: %d results, want %d", n.Pos, n, len(outs), len(n.Out))
			}
			for j, x := range n.In {
				a.same[leaves[j]] = x
			}
			for _, m := range sub.Nodes {
				if m.Op == nil {
					continue
				}
				m.Pos = n.Pos
				if !m.Op.View {
					a.put(m, part, arrived)
				}
			}
			made[part] = outs
		}
		a.same[n.Result(i)] = made[part][i]
	}
	return nil
}

// meet replaces an all-reduce of as many parts as there are by what each of them does of it, if they can without the
// host.
func (a *assignment) meet(n *ops.Node, arrived map[valueOn]bool) bool {
	if n.Op != ops.AllReduceOp || len(n.In) != len(a.dev.parts) || len(n.In) < 2 {
		return false
	}
	for i, v := range n.In {
		// A part whose result nobody reads would not run its node, for which the others wait.
		if b := a.base(v); b.Node().Op == nil || a.part[b.Node()] != i || !a.read[n.Result(i)] {
			return false
		}
	}
	ranks := a.ranks()
	if ranks == nil {
		return false
	}
	nodes := make([]*ops.Node, len(n.In))
	for i, v := range n.In {
		sub := &ops.Graph{}
		leaf := sub.Input("part", v.DType(), v.Shape()...)
		sum, ok := ranks.AllReduce(sub, i, leaf)
		if !ok || sub.Err() != nil || sum.Node().Op == nil || len(sub.Nodes) != 2 {
			return false
		}
		sum.Node().Pos = n.Pos
		nodes[i] = sum.Node()
		a.same[leaf] = v
	}
	for i, m := range nodes {
		a.put(m, i, arrived)
		a.same[n.Result(i)] = m.Result(0)
		a.joint[m] = nodes
	}
	return true
}
